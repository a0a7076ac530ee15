"""Letters to words: the templates of templates/email, with HTML escaped and nothing undefined passed over."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from monitor.notices.letters import Letter, clean, counted

LONGEST_SUBJECT = 180


@dataclass(frozen=True, slots=True)
class Rendered:
    """`subject` is one line without control characters."""

    subject: str
    text: str
    html: str


class Renderer:
    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("templates", "email"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["counted"] = counted

    def render(self, letter: Letter) -> Rendered:
        """The three parts of a mail; a template's own mistake raises jinja2.TemplateError."""
        return Rendered(
            subject=_shortened(clean(self._part(letter, "subject"))),
            text=self._part(letter, "txt").strip() + "\n",
            html=self._part(letter, "html"),
        )

    def _part(self, letter: Letter, part: str) -> str:
        return self._environment.get_template(f"{letter.template}.{part}.j2").render(letter=letter)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1].rstrip() + "…"
