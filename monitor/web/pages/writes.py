"""`/writes`: halts of write probes, and the act that lets write probes go out again."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from monitor.checking import write_halt_queries
from monitor.reporting import write_halt_list_queries
from monitor.reporting.sentence import Name, Piece, Sentence, say
from monitor.reporting.write_halt_list import HaltRow, HaltsChosen, chosen, halts_headline, meaning
from monitor.web.auth.identity import Identity, operator, viewer
from monitor.web.confirmation import ActConfirmation, confirmation_page, numbers_of
from monitor.web.context import context, reading
from monitor.web.number_ranges import LARGEST_ID, as_ranges
from monitor.web.reason import Reason, problem_of
from monitor.web.templating import as_files, page, with_query

PAGE_SIZE = 50
MOST_HALTS = 1000  # at once
_RESUMED = (
    "Write probes go out again with the next checks. "
    "If one is answered like this again, they are halted again, and the operator is emailed."
)

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)

Before = Annotated[int | None, Query(ge=1, le=LARGEST_ID)]
"""The id of the last row of the page before."""


@router.get("/writes")
async def writes(request: Request, before: Before = None) -> Response:
    async with reading(request) as conn:
        in_force = await write_halt_list_queries.in_force(conn)
        past = await write_halt_list_queries.lifted(conn, PAGE_SIZE + 1, before)
        last = past if before is None else await write_halt_list_queries.lifted(conn, 1)
    shown = past[:PAGE_SIZE]
    return page(
        request,
        "writes.html",
        section="Service",
        in_force=in_force,
        said=halts_headline(in_force, last[0] if last else None),
        meaning=meaning(in_force),
        numbers=as_ranges(row.id for row in in_force),
        write_probes=context(request).settings.write_probes,
        operators=context(request).settings.operators or (),
        rows=shown,
        first=with_query(request, before=None) if before else None,
        older=with_query(request, before=str(shown[-1].id)) if len(past) > PAGE_SIZE else None,
        page_size=PAGE_SIZE,
        **as_files(request),
    )


@router.post("/writes/confirm", dependencies=[Depends(operator)])
async def confirm(request: Request, reason: Reason, numbers: Annotated[str, Form()] = "") -> Response:
    """Nothing is done yet."""
    return await _confirmation(request, numbers_of(numbers, "halts", MOST_HALTS), reason)


@router.post("/writes/resume")
async def resume(
    request: Request,
    who: Annotated[Identity, Depends(operator)],
    reason: Reason,
    numbers: Annotated[str, Form()] = "",
) -> Response:
    """Lifts the halts that were shown, and none that came since."""
    web, ids = context(request), numbers_of(numbers, "halts", MOST_HALTS)
    lifted = 0
    if not problem_of(reason):
        async with web.db.writing() as conn:
            lifted = await write_halt_queries.lift(conn, who.who, reason, web.now(), ids)
    return RedirectResponse("/writes", HTTPStatus.SEE_OTHER) if lifted else await _confirmation(request, ids, reason)


async def _confirmation(request: Request, numbers: Sequence[int], reason: str) -> Response:
    async with reading(request) as conn:
        in_force = await write_halt_list_queries.in_force(conn)
        halts = chosen(in_force, await write_halt_list_queries.named(conn, numbers), numbers)
    return confirmation_page(request, _asked(halts, as_ranges(numbers)), reason)


def _asked(halts: HaltsChosen, numbers: str) -> ActConfirmation:
    facts = [("Since you opened the page", halts.changes or [say("Nothing changed.")])]
    if halts.open:
        facts = [
            ("What was answered", [_answered(row) for row in halts.open]),
            ("What follows", [say(_RESUMED)]),
            *facts,
        ]
    return ActConfirmation(
        section="Service",
        question="Let write probes go out again?" if halts.open else "No halt is left to lift here",
        possible=bool(halts.open),
        facts=facts,
        button="Let write probes go out again",
        act_at="/writes/resume",
        fields={"numbers": numbers},
        ask_at="/writes/confirm",
        again={"numbers": numbers},
        back="/writes",
    )


def _answered(row: HaltRow) -> Sentence:
    record: list[Piece] = [", record ", Name(row.record_id)] if row.record_id else []
    return say(f"{row.endpoint} was answered {row.status}", *record, ", ", row.at, ".")
