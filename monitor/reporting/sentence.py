"""Sentences for people, in parts: pages make links and moments of them, the command line plain text. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class PermissionLabel:
    """A permission's label, letter for letter as Greenhouse writes it."""

    label: str


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a tenant or a person, a reason: text from outside, which may be written from right to left."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """`path` is of our own pages."""

    text: str
    path: str


@dataclass(frozen=True, slots=True)
class Part:
    kind: Literal["text", "permission", "moment", "name", "link"]
    text: str = ""
    at: datetime | None = None
    path: str = ""

    @property
    def plain(self) -> str:
        return clock(self.at) if self.at else self.text


@dataclass(frozen=True, slots=True)
class Sentence:
    parts: tuple[Part, ...]

    @property
    def plain(self) -> str:
        return "".join(part.plain for part in self.parts)


Piece = str | int | PermissionLabel | Name | Link | datetime


def say(*pieces: Piece) -> Sentence:
    return Sentence(tuple(map(_part, pieces)))


def listed(pieces: list[Piece]) -> list[Piece]:
    """`a`, `a and b`, `a, b and c`."""
    said: list[Piece] = []
    for place, piece in enumerate(pieces):
        said += [*([] if place == 0 else [" and " if place == len(pieces) - 1 else ", "]), piece]
    return said


def clock(at: datetime) -> str:
    """In plain text every moment is whole, and in UTC: the reader's own day is not known."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _part(piece: Piece) -> Part:
    match piece:
        case str():
            return Part("text", piece)
        case int():
            return Part("text", f"{piece:,}")
        case datetime():
            return Part("moment", at=piece)
        case PermissionLabel(label):
            return Part("permission", label)
        case Name(text):
            return Part("name", text)
        case Link(text, path):
            return Part("link", text, path=path)
