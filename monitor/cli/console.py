"""How commands print: results on stdout, everything else on stderr, colour only on a terminal."""

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.cli.state_colours import cell, with_states

_NARROWEST = 4  # of a column that is cut
_UNBROKEN = 27  # a longer word, such as a path, may be broken
_READABLE = 8  # the least of a cell that tells anything
_GLUE = "\N{OPEN BOX}"  # stands for a blank at which no line breaks
_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)")


def complain(message: str) -> None:
    _on_stderr(Text.assemble(("error:", "bold red"), f" {message}"))


def tell(message: str) -> None:
    """Anything but the result, such as progress or a hint, on stderr."""
    _on_stderr(Text(message))


def _on_stderr(text: Text) -> None:
    """On a terminal lines break between words; in a pipe or a file, rich would break them at 80 columns."""
    console = Console(stderr=True, highlight=False)
    console.print(text, soft_wrap=not console.is_terminal)


def print_json(document: Any) -> None:
    sys.stdout.write(_as_json(document, indent=2))


def print_json_line(document: Any) -> None:
    """For output without an end: one document on each line."""
    sys.stdout.write(_as_json(document, indent=None))


def _as_json(document: Any, indent: int | None) -> str:
    # Escaped by JSON elsewhere: the `backslashreplace` of `main` writes \xe9, which is not JSON.
    readable = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    return json.dumps(document, indent=indent, ensure_ascii=not readable, default=_plain) + "\n"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def on_terminal() -> bool:
    return sys.stdout.isatty()


def terminal_width() -> int:
    return Console().width


def say(text: str, *, states: Iterable[str] = (), style: str = "") -> None:
    """A sentence of the result; on a terminal in this style, and words of `states` in their colours."""
    shown = with_states(text, states)
    shown.stylize_before(style)
    print_text(shown)


def print_text(text: Text) -> None:
    """A line of the result; on a terminal it breaks between words and keeps its indent."""
    indent = len(text.plain) - len(text.plain.lstrip())
    if text.plain.strip() and on_terminal():
        Console(highlight=False).print(Padding(text[indent:], (0, 0, 0, indent), expand=False))
    else:
        sys.stdout.write(f"{text.plain}\n")


def age(at: datetime | None, now: datetime) -> str:
    """In the largest unit that fits: `59 s`, `3 min`, `40 h`, `12 d`; none for None."""
    if at is None:
        return ""
    seconds = max(now - at, timedelta(0)) // timedelta(seconds=1)
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} d"


def say_facts(facts: Mapping[str, str], *, states: Iterable[str] = ()) -> None:
    """Each with its name before it; on a terminal, what has no room goes on below its beginning."""
    widest = max(map(len, facts)) + 2
    if not on_terminal():
        sys.stdout.writelines(f"{name:<{widest}}{text}\n" for name, text in facts.items())
        return
    console = Console(highlight=False)
    grid = Table.grid()
    grid.add_column(width=widest, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts.items():
        grid.add_row(Text(name, "bold"), with_states(text, states))
    console.print(grid)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on a terminal, tab-separated lines in a pipe; without rows, `empty` goes to stderr.

    On a terminal an empty column is left out. Where a word or a time would have to be broken, each row is shown as a
    list of its cells instead.
    """
    rows = list(rows)
    if not rows:
        tell(empty)
    elif on_terminal():
        kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
        _show_table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])
    else:
        for row in [columns, *rows]:
            sys.stdout.write("\t".join(row) + "\n")


def _show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    console = Console(highlight=False)
    room = console.width - 2 * (len(columns) - 1)
    cells = list(zip(columns, *rows, strict=True))
    least = [max(map(_longest_piece, column)) for column in cells]
    if sum(least) > room:
        return _show_records(console, columns, rows)
    widths = fitting([max(map(cell_len, column)) for column in cells], least, room)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name, width in zip(columns, widths, strict=True):
        table.add_column(_in_lines(name, width), width=width)
    for row in rows:
        shown = (cell(name, _in_lines(text, width)) for name, text, width in zip(columns, row, widths, strict=True))
        table.add_row(*shown)
    console.print(table)


def _show_records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as a list of its cells, with nothing cut."""
    for number, row in enumerate(rows):
        grid = Table.grid()
        grid.add_column(width=max(map(cell_len, columns)) + 2, no_wrap=True)
        grid.add_column(overflow="fold")
        for name, text in zip(columns, row, strict=True):
            if text:
                grid.add_row(Text(name, "bold"), cell(name, text))
        if number:
            console.print()
        console.print(grid)


def _longest_piece(text: str) -> int:
    """The width of the longest word that must not be broken, where a time is one word."""
    return max((min(cell_len(word), _UNBROKEN) for word in _TIME.sub(rf"\1{_GLUE}\2", text).split()), default=0)


def _in_lines(text: str, width: int) -> str:
    """Broken between words, and never within a time; only what is very long, such as a path, is broken anywhere."""
    lines = textwrap.wrap(_TIME.sub(rf"\1{_GLUE}\2", text), width, break_on_hyphens=False)
    return "\n".join(lines).replace(_GLUE, " ")


def print_fitted(columns: Sequence[str], rows: Iterable[Sequence[str]], *, shortened: Mapping[str, int]) -> None:
    """A table for a terminal, each row on one line: where there is no room, the columns `shortened` are cut with `…`.

    Each has the width down to which it gives way before the others go below theirs. An empty column is left out. On a
    terminal so narrow that nothing would be left of a cell, each row is a list of its cells.
    """
    table_rows = list(rows)
    kept = [place for place in range(len(columns)) if any(row[place] for row in table_rows)]
    cells = [[columns[place] for place in kept], *([row[place] for place in kept] for row in table_rows)]
    console = Console(highlight=False)
    natural = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    room = console.width - 2 * (len(kept) - 1)
    widths = fitting(natural, [shortened.get(name) for name in cells[0]], room)
    if sum(widths) > room or any(width < min(full, _READABLE) for width, full in zip(widths, natural, strict=True)):
        return _show_records(console, cells[0], cells[1:])
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for name, width in zip(cells[0], widths, strict=True):
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in cells[1:]:
        table.add_row(*map(cell, cells[0], row))
    console.print(table)


def fitting(natural: Sequence[int], wanted: Sequence[int | None], room: int) -> list[int]:
    """The widths of columns that have `room` together: the widest give way first, and those without a wanted never."""
    widths = list(natural)
    for least in (wanted, [None if width is None else _NARROWEST for width in wanted]):
        while sum(widths) > room:
            above = [place for place, width in enumerate(least) if width is not None and widths[place] > width]
            if not above:
                break
            widths[max(above, key=widths.__getitem__)] -= 1
    return widths
