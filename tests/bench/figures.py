"""Figures with their aims, and three ways to print them: for people, as Markdown for the docs, as JSON."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`aim` is the bound the value should keep: an upper one if `under`, else a lower one."""

    what: str
    value: float
    unit: str = ""
    aim: float | None = None
    under: bool = True

    @property
    def met(self) -> bool | None:
        if self.aim is None:
            return None
        return self.value < self.aim if self.under else self.value >= self.aim

    @property
    def cells(self) -> tuple[str, str, str, str]:
        aim = "" if self.aim is None else f"{'<' if self.under else '≥'} {_formatted(self.aim, self.unit)}"
        return self.what, _formatted(self.value, self.unit), aim, {None: "", True: "met", False: "missed"}[self.met]

    @property
    def document(self) -> dict[str, Any]:
        return {"what": self.what, "value": self.value, "unit": self.unit, "aim": self.aim, "met": self.met}


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one measurement, with notes needed to read it; `name` is its name on the command line.

    `table` has details, which have no aims of their own: its head, then its rows.
    """

    name: str
    title: str
    figures: Sequence[Figure] = field(default_factory=list)
    notes: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()


def _formatted(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()


def plain(part: Part) -> str:
    """A table for a terminal."""
    rows = [f"  {what:66} {value:>16} {aim:>12} {met}".rstrip() for what, value, aim, met in _rows(part)]
    notes = [textwrap.fill(note, 110, initial_indent="  ", subsequent_indent="  ") for note in part.notes]
    details = [f"  {name:42}" + "".join(f" {cell:>14}" for cell in cells) for name, *cells in part.table]
    return "\n".join([part.title, *rows, *notes, *details])


def markdown(part: Part) -> str:
    """The table for docs/performance.md, with the command that makes it."""
    rows = [f"| {' | '.join(row)} |" for row in _rows(part)]
    table = ["| | | aim | |", "|---|---|---|---|", *rows, ""] if rows else []
    notes = [textwrap.fill(note, 120) for note in part.notes]
    details = [f"| {' | '.join(row)} |" for row in part.table]
    if details:
        details = ["", details[0], "|---" * len(part.table[0]) + "|", *details[1:]]
    return "\n".join([f"### {part.title}", "", f"`make bench ARGS={part.name}`", "", *table, *notes, *details]).rstrip()


def _rows(part: Part) -> list[tuple[str, str, str, str]]:
    return [figure.cells for figure in part.figures]


def document(parts: Iterable[Part], **about: object) -> dict[str, Any]:
    """All results, for programs."""
    shown = [
        {
            "name": part.name,
            "title": part.title,
            "figures": [figure.document for figure in part.figures],
            "notes": list(part.notes),
            "table": [list(row) for row in part.table],
        }
        for part in parts
    ]
    return {**about, "parts": shown}
