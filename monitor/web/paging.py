"""Lists in pages by keyset: a page begins after the last row of the one before, whatever was added meanwhile."""

import base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter

from monitor.web.errors import RequestRefused
from monitor.web.number_ranges import LARGEST_ID

MOST_ITEMS = 500
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="items of one page")]
"""A parameter of a route; give it DEFAULT_ITEMS as its default."""
DEFAULT_ITEMS = 50
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before; none for the first")]

Item = TypeVar("Item")
Row = TypeVar("Row")
Position = TypeVar("Position")
_CHECK_BYTES = 6


class ListPage(BaseModel, Generic[Item]):
    items: list[Item]
    next: str | None = Field(description="the cursor of the next page; null on the last")


class Keyset(Generic[Position]):
    """The cursors of one list. `position` is the tuple of the columns that the list is ordered by, a unique one last.

    The list's name is part of each cursor, so that none is taken for a place in another list.
    """

    def __init__(self, name: str, position: type[Position]) -> None:
        self._name = name.encode()
        self._adapter = TypeAdapter(position)

    def cursor(self, position: Position) -> str:
        text = self._adapter.dump_json(position)
        return _encoded(self._check(text) + text)

    def position(self, cursor: str | None) -> Position | None:
        """Where the page begins; None for the first. RequestRefused for a cursor that this list did not give."""
        if cursor is None:
            return None
        try:
            found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
            check, text = found[:_CHECK_BYTES], found[_CHECK_BYTES:]
            # The last character has bits that decoding drops: only one spelling is ours.
            if check != self._check(text) or cursor != _encoded(found):
                raise _altered()
            position = self._adapter.validate_json(text)
        except ValueError:
            raise _altered() from None
        if not _within_columns(position):
            raise _altered()
        return position

    def page(
        self, rows: Sequence[Row], limit: int, place: Callable[[Row], Position], item: Callable[[Row], Item]
    ) -> ListPage[Item]:
        """`rows` are those read from the position on, one more than `limit` if there is one."""
        shown = rows[:limit]
        more = self.cursor(place(shown[-1])) if len(rows) > limit else None
        return ListPage(items=[item(row) for row in shown], next=more)

    def _check(self, text: bytes) -> bytes:
        return sha256(self._name + b"\0" + text).digest()[:_CHECK_BYTES]


def _within_columns(position: object) -> bool:
    """Postgres refuses a number that its column cannot hold."""
    values = position if isinstance(position, tuple) else (position,)
    return all(not isinstance(value, int) or abs(value) <= LARGEST_ID for value in values)


def _encoded(found: bytes) -> str:
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


def _altered() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST,
        "bad_cursor",
        "the cursor is not one that this list gave",
        "Take `next` from the page before, unchanged, or leave `cursor` out to begin anew.",
    )
