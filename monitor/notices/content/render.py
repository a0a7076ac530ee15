"""Messages to words: the templates of templates/email, with HTML escaped and every undefined name an error.

If a template cannot be used, for whatever reason, the email goes out as fallback text.
"""

import traceback
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from monitor.notices.content.csm_sentences import CsmSentences
from monitor.notices.content.email_size import LARGEST, email_size
from monitor.notices.content.fallback_text import fallback_subject, fallback_text
from monitor.notices.content.messages import CsmMessage, Message
from monitor.notices.content.operator_sentences import OperatorSentences
from monitor.notices.content.page_links import PageLinks
from monitor.notices.content.request_sentences import RequestSentences
from monitor.notices.content.shortening import shortened
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import clean, counted, listed

LONGEST_SUBJECT = 180
_LONGEST_PROBLEM = 300
_LONGEST_LINE = 2000
_CUT = "\nThere is more than fits into an email: please ask the operator of Harvest Monitor for the rest.\n"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """`subject` is one line without control characters. Fallback text has no `html`; `problem` says what was wrong."""

    subject: str
    text: str
    html: str
    problem: str = ""


class Renderer:
    """`fell_back` is called for every fallback text. `public_url` is where people reach this service, if they can;
    `vendor` is who writes.
    """

    def __init__(
        self,
        fell_back: Callable[[], None] = lambda: None,
        public_url: str | None = None,
        vendor: Vendor = Vendor(),  # noqa: B008 frozen
    ) -> None:
        self._fell_back = fell_back
        self._vendor = vendor
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
        environment.filters["listed"] = listed
        # What a template imports sees globals, and nothing else of its caller.
        environment.globals["vendor"] = self._vendor
        environment.globals["say"] = CsmSentences(self._vendor)
        environment.globals["ask"] = RequestSentences(self._vendor)
        environment.globals["tell"] = OperatorSentences(self._vendor)
        return environment

    def render(self, message: Message) -> RenderedMessage:
        """By its template, or as fallback text; never larger than mail programs show."""
        rendered = self._small(message)
        if rendered.problem:
            _log.error("template_broken", template=message.template, problem=rendered.problem)
            self._broken.add(message.template)
            self._fell_back()
        else:
            self._broken.discard(message.template)
        return rendered

    def fits(self, message: Message) -> bool:
        """Whether the message, with nothing left out, makes an email that mail programs show to its end."""
        return _fits(self._rendered(message))

    def _small(self, message: Message) -> RenderedMessage:
        rendered = self._rendered(message)
        while not _fits(rendered):
            shorter = shortened(message)
            if shorter is None:
                return self._text_alone(message, rendered)
            message, rendered = shorter, self._rendered(shorter)
        return rendered

    def _text_alone(self, message: Message, rendered: RenderedMessage) -> RenderedMessage:
        """Where nothing more can be left out: the text, and as much of it as fits, what is to be forwarded first."""
        without_page = replace(rendered, html="")
        if _fits(without_page):
            return without_page
        _log.warning("email_cut", template=message.template)
        if isinstance(message, CsmMessage) and message.asks and not rendered.problem:
            return _cut(without_page, self.request(message) + "\n")
        return _cut(without_page, "")

    def _rendered(self, message: Message) -> RenderedMessage:
        try:
            return self._by_template(message)
        except Exception as error:  # templates hold expressions, and so can raise anything
            subject = _shortened(clean(fallback_subject(message)))
            return RenderedMessage(subject, fallback_text(message, self._links), html="", problem=_described(error))

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


def _fits(rendered: RenderedMessage) -> bool:
    return email_size(rendered.text, rendered.html) <= LARGEST


def _cut(rendered: RenderedMessage, first: str) -> RenderedMessage:
    lines = [line[:_LONGEST_LINE] for line in (first + rendered.text).splitlines(keepends=True)]

    def size(number: int) -> int:
        return email_size("".join(lines[: number + 1]) + _CUT, "")

    kept = bisect_right(range(len(lines)), LARGEST, key=size)
    return replace(rendered, text="".join(lines[:kept]) + _CUT)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _described(error: Exception) -> str:
    """The error, with the line of the template if there is one: Jinja puts its templates into the traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    return clean(f"{where}{type(error).__name__}: {error}")[:_LONGEST_PROBLEM]
