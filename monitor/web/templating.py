"""Pages from the templates of templates/web: HTML escaped, and every undefined name an error."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from monitor.notices.wording import counted, duration
from monitor.reporting.amounts import percent, short_length
from monitor.version import VERSION
from monitor.web.static import static_path

NAVIGATION = {
    "Overview": "/",
    "History": "/history",
    "Permissions": "/permissions",
    "Notices": "/notices",
    "Reports": "/report",
    "Service": "/sweeps",
}
"""At most six, so that none is cut off on a phone."""

_WITHIN_THE_WEEK = timedelta(days=6)
_FORMATS = {
    "clock": "{at:%H:%M}",
    "weekday": "{at:%a %H:%M}",
    "day": "{at.day} {at:%b}",
    "dayclock": "{at.day} {at:%b %H:%M}",
    "date": "{at.day} {at:%b} {at.year}",
    "heading": "{at:%a} {at.day} {at:%B}",
}


def _line(path: str, width: float) -> Markup:
    return Markup('<path d="{}" stroke-width="{}" fill="none"/>').format(path, width)


def _filled(path: str) -> Markup:
    return Markup('<path d="{}"/>').format(path)


_CROSS = _line("M1.8 1.8l8.4 8.4M10.2 1.8l-8.4 8.4", 2.6)
_DOWN = _filled("M.5 1.5h11L6 11z")
_CHECKED = _line("M1.6 6.6l3 3 5.8-7", 1.7)
_STOP = _filled("M3.7.4h4.6l3.3 3.3v4.6l-3.3 3.3H3.7L.4 8.3V3.7z")
_RING = _line("M10.2 6A4.2 4.2 0 1 1 1.8 6a4.2 4.2 0 0 1 8.4 0z", 1.6)
_CROSSED_RING = _line("M3.5 6h5M10.8 6A4.8 4.8 0 1 1 1.2 6a4.8 4.8 0 0 1 9.6 0z", 1.4)

MARKS: Mapping[str, Markup] = {
    "healthy": _CHECKED,
    "granted": _CHECKED,
    "sent": _CHECKED,
    "drifted": _DOWN,
    "missing": _DOWN,
    "failing": _CROSS,
    "invalid": _CROSS,
    "failed": _CROSS,
    "suspect": _line("M1.4 2h9.2L6 10.2z", 1.6),
    "undecided": _line("M6 1l5 5-5 5-5-5z", 1.7),
    "held": _STOP,
    "paused": _filled("M2 1h3v10H2zM7 1h3v10H7z"),
    "new": _RING,
    "pending": _RING,
    "declined": _CROSSED_RING,
    "dropped": _CROSSED_RING,
    "not_checkable": _filled("M8 6a2 2 0 1 1-4 0 2 2 0 0 1 4 0z"),
    "unasked": _line("M3 6h6", 1.5),
    "back": _filled("M.5 10.5h11L6 1z"),
    "brand": _line("M0 2h12M0 6h5M8.4 6H12M0 10h12", 2),
}
"""The shape of each status, drawn in a field of 12 by 12. Filled is certain, hollow is not."""


def page(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The page for this request, as its signed-in reader sees it."""
    frame = {
        "identity": getattr(request.state, "identity", None),
        "now": getattr(request.state, "now", None),
        "held": getattr(request.state, "held", 0),
        "utc": request.query_params.get("tz") == "utc",
        # What answers a form has no address to show it again under.
        "has_address": request.method in ("GET", "HEAD"),
        "utc_url": with_query(request, tz="utc"),
        "local_url": with_query(request, tz=None),
        "section": None,
    }
    html = environment().get_template(template).render({**frame, **values})
    return HTMLResponse(html, status_code=status_code)


def with_query(request: Request, **changes: str | None) -> str:
    """The address of this request with other parameters; None takes one away."""
    kept = {name: value for name, value in request.query_params.items() if value and name not in changes}
    query = urlencode({**kept, **{name: value for name, value in changes.items() if value is not None}})
    return f"{request.url.path}?{query}" if query else request.url.path


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("templates", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # a look at the disk for each template of each page
    )
    made.filters.update(when=_when, counted=counted, duration=duration, number=_number, span=_span)
    made.filters.update(percent=percent, short_length=short_length)
    made.globals.update(
        minute=timedelta(minutes=1),
        day=timedelta(days=1),
        navigation=NAVIGATION,
        marks=MARKS,
        version=VERSION,
        static=static_path,
    )
    return made


def _number(value: int) -> str:
    return f"{value:,}"


@pass_context
def _when(context: Context, at: datetime | None, style: str | None = None) -> Markup:
    """A moment in UTC, as short as its age allows; script turns it into the reader's zone."""
    if at is None:
        return Markup("")
    return _time(at, style or _style(at, context["now"]))


@lru_cache(maxsize=4096)
def _time(at: datetime, style: str) -> Markup:
    """Nothing in it needs escaping. A page has a hundred of them, many of them equal."""
    iso, title = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S UTC}"
    return Markup(f'<time datetime="{iso}" data-as="{style}" title="{title}">{_FORMATS[style].format(at=at)}</time>')  # noqa: S704


def _style(at: datetime, now: datetime | None) -> str:
    """The clock today, weekday and clock within six days either way, then the date; the year where it is another."""
    if now is None:
        return "dayclock"
    if at.date() == now.date():
        return "clock"
    if abs(now - at) < _WITHIN_THE_WEEK:
        return "weekday"
    return "dayclock" if at.year == now.year else "date"


def as_files(request: Request, path: str | None = None, **more: str | None) -> dict[str, Any]:
    """The addresses of this list, with the same filter, as CSV and as JSON; `path` where they are under another."""
    query = with_query(request, after=None, before=None, tz=None, **more).partition("?")[2]
    path = path or request.url.path
    return {f"{kind}_url": f"{path}.{kind}{'?' if query else ''}{query}" for kind in ("csv", "json")}


_SPAN_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


def _span(span: timedelta) -> str:
    """How long something lasted, as roughly as people say it: `3 days`, `5 hours`, `12 minutes`."""
    seconds = max(span.total_seconds(), 0)
    unit, size = next(((unit, size) for unit, size in _SPAN_UNITS if seconds >= size), ("minute", 60))
    return counted(int(seconds // size), unit)
