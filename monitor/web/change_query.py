"""What an address asks of the list of changes: the same on the page, in CSV, in JSON and in the API."""

from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query

from monitor.drift import EventKind
from monitor.incidents.change_queries import WantedChanges
from monitor.web.errors import RequestRefused

KINDS = tuple(EventKind)
_Text = Annotated[str, Query(max_length=200)]


def wanted_changes(
    tenant: _Text = "", permission: _Text = "", kind: _Text = "", since: _Text = "", until: _Text = ""
) -> WantedChanges:
    """`since` and `until` are days or moments, in UTC unless they say otherwise; a day as `until` is included."""
    begin, end = _moment(since, "since"), _moment(until, "until", whole_day=True)
    if begin is not None and end is not None and begin >= end:
        raise _refused("since lies after until", "Exchange the two dates.")
    return WantedChanges(
        tenant_id=tenant.strip() or None,
        permission=permission.strip() or None,
        kinds=(EventKind(kind),) if kind in KINDS else None,
        since=begin,
        until=end,
    )


WantedHistory = Annotated[WantedChanges, Depends(wanted_changes)]


def _moment(text: str, name: str, *, whole_day: bool = False) -> datetime | None:
    if not text:
        return None
    try:
        if len(text) == len("2026-11-30"):
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            return day + timedelta(days=1) if whole_day else day
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refused(f"{name} is not a date", "Write it as 2026-11-30 or 2026-11-30T14:00.") from None


def _refused(message: str, next_step: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", message, next_step)
