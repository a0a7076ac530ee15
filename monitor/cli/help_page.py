"""The page that `--help` prints: what a command is for, its arguments, options and commands, and an example to copy."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_WIDEST_PAGE = 100  # longer lines are hard to read
_WIDEST_NAME = 26
_NARROWEST_TEXT = 36  # below that, what stands beside a name goes under it
EXAMPLE = "Example: "

Row = tuple[str, str]


def print_help(command: Any, context: Any) -> None:
    """On stdout; in colour on a terminal only."""
    console = Console(highlight=False, soft_wrap=True)
    width = min(console.width, _WIDEST_PAGE)
    for line in _page(command, context, width):
        console.print(line)


def _page(command: Any, context: Any, width: int) -> Iterator[Text]:
    yield from _usage(command, context, width)
    for paragraph in _paragraphs(command.help or ""):
        yield Text()
        yield from (Text(line) for line in _wrapped(paragraph, width))
    params = command.get_params(context)
    yield from _section("Arguments", [_argument(one) for one in params if one.param_type_name == "argument"], width)
    yield from _section("Commands", _commands(command, context), width)
    options = [one for one in params if one.param_type_name == "option" and not one.hidden]
    yield from _section("Options", [_option(one, context) for one in options], width)
    if command.epilog:
        yield from _last_words(command.epilog, width)


def _usage(command: Any, context: Any, width: int) -> Iterator[Text]:
    pieces = " ".join(command.collect_usage_pieces(context))
    for number, line in enumerate(textwrap.wrap(f"Usage: {context.command_path} {pieces}", width, **_HANGING)):
        yield Text.assemble(("Usage:", "bold"), line.removeprefix("Usage:")) if number == 0 else Text(line)


_HANGING: dict[str, Any] = {"subsequent_indent": " " * 7, "break_long_words": False, "break_on_hyphens": False}


def _paragraphs(text: str) -> list[str]:
    return [paragraph for paragraph in text.split("\n\n") if paragraph.strip()]


def _wrapped(paragraph: str, width: int) -> list[str]:
    """A paragraph whose lines are indented is a list: each line is an entry."""
    lines = paragraph.splitlines()
    if not all(line.startswith("  ") for line in lines):
        return textwrap.wrap(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)
    return [part for line in lines for part in _entry(line, width)]


def _entry(line: str, width: int) -> list[str]:
    name = re.match(r" *\S+ *", line)
    indent = " " * (name.end() if name else 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _section(heading: str, rows: Sequence[Row], width: int) -> Iterator[Text]:
    if not rows:
        return
    yield Text()
    yield Text(f"{heading}:", "bold")
    beside = min(max(cell_len(name) for name, _ in rows), _WIDEST_NAME) + 4
    under = width - beside < _NARROWEST_TEXT
    for name, text in rows:
        yield from _row(name, text, 6 if under else beside, width, under=under)


def _row(name: str, text: str, indent: int, width: int, *, under: bool) -> Iterator[Text]:
    lines = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False)
    shown = Text.assemble("  ", (name, "cyan"))
    if not under and shown.cell_len <= indent - 2 and lines:
        shown.append(" " * (indent - shown.cell_len) + lines.pop(0))
    yield shown
    yield from (Text(" " * indent + line) for line in lines)


def _argument(param: Any) -> Row:
    return usage_name(param), param.help or ""


def usage_name(param: Any) -> str:
    """`TENANT` where one must be given, `[TENANT]` where it can be left out, `...` where several may be given."""
    name = param.metavar if param.required else f"[{param.metavar}]"
    return f"{name}..." if param.nargs != 1 else str(name)


def _option(param: Any, context: Any) -> Row:
    names = ", ".join([*param.opts, *param.secondary_opts])
    value = "" if param.is_flag else f" {param.metavar}"
    return f"{names}{value}", " ".join(filter(None, [param.help, _default(param, context)]))


def _default(param: Any, context: Any) -> str:
    if param.required:
        return "(required)"
    if param.is_flag or param.default in (None, "") or callable(param.default):
        return ""
    default = param.get_default(context, call=False)
    return f"(default: {getattr(default, 'value', default)})"


def _commands(command: Any, context: Any) -> list[Row]:
    children: Iterable[tuple[str, Any]] = getattr(command, "commands", {}).items()
    return [(name, " ".join((_paragraphs(child.help or "") or [""])[0].split())) for name, child in children]


def _last_words(epilog: str, width: int) -> Iterator[Text]:
    """An example is on a line of its own and never broken, so that it can be copied."""
    for paragraph in _paragraphs(epilog):
        yield Text()
        if paragraph.startswith(EXAMPLE):
            yield Text("Example:", "bold")
            yield Text(f"  {paragraph.removeprefix(EXAMPLE)}")
        else:
            yield from (Text(line) for line in _wrapped(paragraph, width))
