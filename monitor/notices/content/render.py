"""Letters to words: the templates of templates/email, with HTML escaped and nothing undefined passed over.

Where a template can not be used, whatever is wrong with it, the mail has its plain form.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape

from monitor.notices.content.messages import Message, clean, counted
from monitor.notices.content.plain_text import plain

LONGEST_SUBJECT = 180
_LONGEST_PROBLEM = 300

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rendered:
    """`subject` is one line without control characters. A plain form has no `html`; `problem` says why it is one."""

    subject: str
    text: str
    html: str
    problem: str = ""


class Renderer:
    """`fell_back` is told of every plain form."""

    def __init__(self, fell_back: Callable[[], None] = lambda: None) -> None:
        self._fell_back = fell_back

    @cached_property
    def environment(self) -> Environment:
        environment = Environment(
            loader=PackageLoader("templates", "email"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["counted"] = counted
        return environment

    def render(self, letter: Message) -> Rendered:
        """The three parts of a mail, or its plain form."""
        try:
            return self._by_template(letter)
        except Exception as problem:  # a template can raise anything: it holds expressions
            said = _described(problem)
            _log.error("template_broken", template=letter.template, problem=said)
            self._fell_back()
            subject, text = plain(letter)
            return Rendered(_shortened(clean(subject)), text, "", said)

    def _by_template(self, letter: Message) -> Rendered:
        words = Rendered(
            subject=_shortened(clean(self._part(letter, "subject"))),
            text=self._part(letter, "txt").strip() + "\n",
            html=self._part(letter, "html"),
        )
        if not (words.subject and words.text.strip() and words.html.strip()):
            raise TemplateError("a part of the mail came out empty")
        return words

    def _part(self, letter: Message, part: str) -> str:
        return self.environment.get_template(f"{letter.template}.{part}.j2").render(letter=letter)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _described(problem: Exception) -> str:
    """The error, and the line of the template if there is one: Jinja puts its templates into the traceback."""
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename.endswith(".j2")]
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    return clean(f"{where}{type(problem).__name__}: {problem}")[:_LONGEST_PROBLEM]
