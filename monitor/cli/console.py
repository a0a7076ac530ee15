"""How commands print: results on stdout, everything else on stderr, colour only on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on a terminal, tab-separated lines in a pipe; without rows, `empty` goes to stderr."""
    rows = list(rows)
    if not rows:
        tell(empty)
    elif sys.stdout.isatty():
        table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*map(escape, row))
        Console(highlight=False).print(table)
    else:
        for row in [columns, *rows]:
            sys.stdout.write("\t".join(row) + "\n")
