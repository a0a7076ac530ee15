"""Cursors and pages of lists."""

from datetime import UTC, datetime

import pytest

from monitor.web.errors import RequestRefused
from monitor.web.paging import Keyset

EVENTS = Keyset("events", tuple[datetime, int])
PLACE = (datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC), 4711)


def test_a_cursor_leads_back_to_its_place() -> None:
    """To the microsecond, and with its types."""
    assert EVENTS.position(EVENTS.cursor(PLACE)) == PLACE
    assert EVENTS.position(None) is None


def test_an_altered_cursor_is_refused(subtests: pytest.Subtests) -> None:
    """Every change of a character, every cut, another list's cursor, and what never was one."""
    cursor = EVENTS.cursor(PLACE)
    altered = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    altered += [cursor[:at] for at in range(len(cursor))] + [cursor + "A", cursor + "=", cursor + " ", "ü", "\x00"]
    altered += [Keyset("incidents", tuple[datetime, int]).cursor(PLACE), Keyset("events", tuple[int]).cursor((1,))]
    for text in altered:
        with subtests.test(text):
            with pytest.raises(RequestRefused) as refused:
                EVENTS.position(text)
            assert (refused.value.status, refused.value.code) == (400, "bad_cursor")


def test_pages_follow_each_other_until_the_last() -> None:
    """`next` is null on the last page, also where it is full."""
    numbers = Keyset("numbers", tuple[int])
    rows, seen, cursor = list(range(10)), [], None
    while True:
        place = numbers.position(cursor)
        after = [row for row in rows if place is None or row > place[0]]
        page = numbers.page(after[:6], 5, lambda row: (row,), str)
        seen.append(page.items)
        cursor = page.next
        if cursor is None:
            break
    assert seen == [["0", "1", "2", "3", "4"], ["5", "6", "7", "8", "9"]]
    assert numbers.page([], 5, lambda row: (row,), str).model_dump() == {"items": [], "next": None}
