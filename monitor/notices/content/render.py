"""Messages to words: the templates of templates/email, with HTML escaped and every undefined name an error.

If a template cannot be used, for whatever reason, the email goes out as fallback text.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from monitor.notices.content.fallback_text import fallback_subject, fallback_text
from monitor.notices.content.messages import CsmMessage, Message
from monitor.notices.content.page_links import PageLinks
from monitor.notices.wording import clean, counted

LONGEST_SUBJECT = 180
_LONGEST_PROBLEM = 300

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """`subject` is one line without control characters. Fallback text has no `html`; `problem` says what was wrong."""

    subject: str
    text: str
    html: str
    problem: str = ""


class Renderer:
    """`fell_back` is called for every fallback text. `public_url` is where people reach this service, if they can."""

    def __init__(self, fell_back: Callable[[], None] = lambda: None, public_url: str | None = None) -> None:
        self._fell_back = fell_back
        self._links = PageLinks(public_url)
        self._broken: set[str] = set()

    @property
    def broken(self) -> int:
        """How many templates could not be used the last time."""
        return len(self._broken)

    @cached_property
    def environment(self) -> Environment:
        # Made at the first message, within `render`'s try: without its folder PackageLoader raises ValueError.
        environment = Environment(
            loader=PackageLoader("templates", "email"),
            # By default only .html, .htm and .xml are escaped: a page named .html.j2 would not be.
            autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["counted"] = counted
        return environment

    def render(self, message: Message) -> RenderedMessage:
        """By its template, or as fallback text."""
        try:
            rendered = self._by_template(message)
            self._broken.discard(message.template)
            return rendered
        except Exception as error:  # templates hold expressions, and so can raise anything
            problem = _described(error)
            _log.error("template_broken", template=message.template, problem=problem)
            self._broken.add(message.template)
            self._fell_back()
            subject = _shortened(clean(fallback_subject(message)))
            return RenderedMessage(subject, fallback_text(message, self._links), html="", problem=problem)

    def request(self, message: CsmMessage) -> str:
        """The part of an email to a CSM that the customer gets."""
        return self.environment.get_template("request.txt.j2").render(message=message).strip() + "\n"

    def _by_template(self, message: Message) -> RenderedMessage:
        rendered = RenderedMessage(
            subject=_shortened(clean(self._part(message, "subject"))),
            text=self._part(message, "txt").strip() + "\n",
            html=self._part(message, "html"),
        )
        if not (rendered.subject and rendered.text.strip() and rendered.html.strip()):
            raise TemplateError("a part of the email is empty")
        return rendered

    def _part(self, message: Message, part: str) -> str:
        template = self.environment.get_template(f"{message.template}.{part}.j2")
        return template.render(message=message, links=self._links)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _described(error: Exception) -> str:
    """The error, with the line of the template if there is one: Jinja puts its templates into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    return clean(f"{where}{type(error).__name__}: {error}")[:_LONGEST_PROBLEM]
