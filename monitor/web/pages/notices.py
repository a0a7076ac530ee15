"""`/notices`: who was told what, and what waits for an operator; `/notices/{number}`: one email, whole."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.notices.notice import Status
from monitor.reporting import notice_detail_queries, notice_list_queries
from monitor.reporting.notice_choice import CONSEQUENCES
from monitor.reporting.notice_detail import NoticeDetail
from monitor.reporting.notice_list import PAST, ActionResult, Waiting, acted_on
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading
from monitor.web.errors import RequestRefused
from monitor.web.lists.notices import NOTICES
from monitor.web.notice_query import WantedNotices, number_of
from monitor.web.number_ranges import as_ranges
from monitor.web.templating import page, with_query

PAGE_SIZE = 50

_FACETS = (None, Status.HELD, Status.FAILED, Status.PENDING, Status.SENT, Status.DROPPED)

# Nothing is loaded and nothing runs: an email is shown as a mail program shows it, and as an origin of its own.
_EMAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)

_Word = Annotated[str, Query(max_length=1000)]


@router.get("/notices")
async def notices(
    request: Request, wanted: WantedNotices, after: _Word = "", done: _Word = "", asked: _Word = ""
) -> Response:
    acting_on = acted_on(wanted.status)
    async with reading(request) as conn:
        counts = await notice_list_queries.counts(conn, wanted)
        rows = await notice_list_queries.page(conn, wanted, PAGE_SIZE + 1, NOTICES.keyset.position(after or None))
        waiting = await notice_list_queries.waiting(conn, wanted, acting_on) if acting_on else Waiting()
        result = await _result(conn, done)
    shown = rows[:PAGE_SIZE]
    listed = counts[wanted.status] if wanted.status else sum(counts.values())
    return page(
        request,
        "notices.html",
        section="Notices",
        wanted=wanted,
        counts=counts,
        total=listed,
        rows=shown,
        acting_on=acting_on,
        waiting=waiting,
        all_numbers=as_ranges(waiting.numbers),
        done=result,
        said=result.said(number_of(asked) or result.changed) if result else "",
        facets=[(status, _list_url(request, after=None, status=status)) for status in _FACETS],
        consequences=CONSEQUENCES,
        operators=context(request).settings.operators or (),
        past=PAST,
        first=_list_url(request, after=None) if after else None,
        older=_list_url(request, after=NOTICES.keyset.cursor(shown[-1].place)) if len(rows) > PAGE_SIZE else None,
        page_size=PAGE_SIZE,
        **_as_files(request),
    )


async def _result(conn: AsyncConnection, done: str) -> ActionResult | None:
    number = number_of(done)
    return None if number is None else await notice_list_queries.result(conn, number)


def _list_url(request: Request, **changes: str | None) -> str:
    """The list again, without the result of what was done before."""
    return with_query(request, done=None, asked=None, **changes)


def _as_files(request: Request) -> dict[str, Any]:
    address = _list_url(request, after=None)
    return {f"{kind}_url": address.replace("/notices", f"/notices.{kind}", 1) for kind in ("csv", "json")}


@router.get("/notices/{number}")
async def notice(request: Request, number: str) -> Response:
    async with reading(request) as conn:
        found = await _found(conn, number)
    return page(
        request,
        "notice.html",
        section="Notices",
        detail=found,
        sender=context(request).settings.mail_from or "",
        acting_on=acted_on(Status(found.notice.status)),
        consequences=CONSEQUENCES,
        operators=context(request).settings.operators or (),
        past=PAST,
    )


@router.get("/notices/{number}/html")
async def html_part(request: Request, number: str) -> Response:
    """The HTML part alone."""
    async with reading(request) as conn:
        found = await _found(conn, number)
    if not found.whole.html:
        raise _not_found("this email has no HTML part, or it was deleted by now", "Its page shows what is kept.")
    headers = {"Content-Security-Policy": _EMAIL_POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(found.whole.html, headers=headers)


async def _found(conn: AsyncConnection, number: str) -> NoticeDetail:
    wanted = number_of(number)
    found = None if wanted is None else await notice_detail_queries.detail(conn, wanted)
    if found is None:
        raise _not_found("there is no email with this number", "The list of notices has all of them.")
    return found


def _not_found(message: str, next_step: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.NOT_FOUND, "no_notice", message, next_step)
