"""What an address asks of the list of notices: the same on the page, in CSV, in JSON and in the API."""

import re
from typing import Annotated

from fastapi import Depends, Query

from monitor.notices.notice import Status
from monitor.notices.wording import clean
from monitor.reporting.notice_list import NoticeFilter
from monitor.web.number_ranges import LARGEST_ID

_Text = Annotated[str, Query(max_length=200)]
_NUMBER = re.compile("[0-9]{1,10}")


def notice_filter(status: _Text = "", tenant: _Text = "", reader: _Text = "", burst: _Text = "") -> NoticeFilter:
    """Every part may be left out; a status that there is none of asks for nothing, as where it is left out."""
    return NoticeFilter(
        status=Status(status) if status in set(Status) else None,
        tenant=clean(tenant) or None,
        reader=clean(reader) or None,
        burst=number_of(burst),
    )


WantedNotices = Annotated[NoticeFilter, Depends(notice_filter)]


def number_of(text: str) -> int | None:
    """The number in an address; None for what can be no notice's."""
    return int(text) if _NUMBER.fullmatch(text) and int(text) <= LARGEST_ID else None
