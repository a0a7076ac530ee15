"""How commands print: results on stdout, everything else on stderr, colour only on a terminal."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from monitor.cli.state_colours import cell, with_states

_NARROWEST = 4  # of a column that is cut


def complain(message: str) -> None:
    # soft_wrap: without a terminal, rich would break lines at 80 columns.
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(message)}")


def tell(message: str) -> None:
    """Anything but the result, such as progress or a hint, on stderr."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(escape(message))


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
    """A sentence of the result; on a terminal, lines break between words and keep its indent.

    There it has this style, and the words of `states` that stand in it have their colours.
    """
    if text and on_terminal():
        indent = len(text) - len(text.lstrip())
        shown = with_states(text.strip(), states)
        shown.stylize_before(style)
        Console(highlight=False).print(Padding(shown, (0, 0, 0, indent), expand=False))
    else:
        sys.stdout.write(f"{text}\n")


def age(at: datetime | None, now: datetime) -> str:
    """In the largest unit that fits: `59 s`, `3 min`, `40 h`, `12 d`; none for None."""
    if at is None:
        return ""
    seconds = max(now - at, timedelta(0)) // timedelta(seconds=1)
    for unit, size, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} d"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on a terminal, tab-separated lines in a pipe; without rows, `empty` goes to stderr."""
    rows = list(rows)
    if not rows:
        tell(empty)
    elif on_terminal():
        table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*map(cell, columns, row))
        Console(highlight=False).print(table)
    else:
        for row in [columns, *rows]:
            sys.stdout.write("\t".join(row) + "\n")


def print_fitted(columns: Sequence[str], rows: Iterable[Sequence[str]], *, shortened: Mapping[str, int]) -> None:
    """A table for a terminal, each row on one line: where there is no room, the columns `shortened` are cut with `…`.

    Each has the width down to which it gives way before the others go below theirs. An empty column is left out.
    """
    table_rows = list(rows)
    kept = [place for place in range(len(columns)) if any(row[place] for row in table_rows)]
    cells = [[columns[place] for place in kept], *([row[place] for place in kept] for row in table_rows)]
    console = Console(highlight=False)
    natural = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    widths = fitting(natural, [shortened.get(name) for name in cells[0]], console.width - 2 * (len(kept) - 1))
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
