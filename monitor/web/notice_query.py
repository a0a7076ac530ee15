"""What an address asks of the list of notices: the same on the page and in JSON."""

import re
from typing import Annotated

from fastapi import Depends, Query

from monitor.notices.notice import Status
from monitor.notices.wording import clean
from monitor.reporting.notice_list import NoticeFilter, NoticePlace
from monitor.web.cursor import BadCursor, decoded, encoded
from monitor.web.number_ranges import LARGEST_ID

_Text = Annotated[str, Query(max_length=200)]
_NUMBER = re.compile("[0-9]{1,10}")


def _filter(status: _Text = "", tenant: _Text = "", reader: _Text = "", burst: _Text = "") -> NoticeFilter:
    """Every part may be left out; a status that there is none of asks for nothing, as where it is left out."""
    return NoticeFilter(
        status=Status(status) if status in set(Status) else None,
        tenant=clean(tenant) or None,
        reader=clean(reader) or None,
        burst=number_of(burst),
    )


WantedNotices = Annotated[NoticeFilter, Depends(_filter)]


def number_of(text: str) -> int | None:
    """The number in an address; None for what can be no notice's."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= LARGEST_ID else None


def place_of(cursor: str | None) -> NoticePlace | None:
    """BadCursor where the word in the address is no place in this list."""
    if not cursor:
        return None
    place = NoticePlace(*decoded(cursor, bool, int))
    if place.id > LARGEST_ID:
        raise BadCursor
    return place


def cursor_of(place: NoticePlace) -> str:
    return encoded([place.held, place.id])
