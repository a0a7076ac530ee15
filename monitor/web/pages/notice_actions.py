"""Releasing, dropping and retrying emails: a page that repeats what will happen, and only then the act."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from monitor.notices import operator_actions
from monitor.notices.policy import NoticePolicy
from monitor.reporting import notice_choice_queries
from monitor.reporting.notice_choice import NoticeCommand
from monitor.reporting.sentence import say
from monitor.web.auth.identity import Identity, operator
from monitor.web.context import WebContext, context, reading
from monitor.web.number_ranges import MOST, BadNumbers, as_ranges, from_ranges
from monitor.web.problems import PageProblem
from monitor.web.reason import Reason, problem_of
from monitor.web.templating import page

SHOWN = 20

router = APIRouter(prefix="/notices", dependencies=[Depends(operator)], include_in_schema=False)

_Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """`asked` is for how many it was meant at first; `every` says that these were all."""

    command: NoticeCommand
    numbers: Sequence[int]
    asked: int
    every: bool = False


@router.post("/confirm")
async def confirm(
    request: Request,
    do: Annotated[NoticeCommand, Form()],
    reason: Reason,
    n: Annotated[list[str] | None, Form()] = None,
    which: _Text = "",
    everything: Annotated[str, Form(alias="all")] = "",
) -> Response:
    """Nothing is done yet."""
    numbers = _numbers(everything if which == "all" else " ".join(n or ()))
    if which not in ("all", "chosen") or not numbers:
        raise PageProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "No email was chosen, so nothing was done.",
            "Go back, and tick the emails that you mean, or choose all of them.",
            title="Which emails?",
        )
    return await _confirmation(request, _Chosen(do, numbers, len(numbers), which == "all"), reason)


@router.post("/act")
async def act(
    request: Request,
    who: Annotated[Identity, Depends(operator)],
    do: Annotated[NoticeCommand, Form()],
    reason: Reason,
    numbers: _Text,
    asked: Annotated[int, Form(ge=1, le=MOST)],
) -> Response:
    """Does it, for those that it still concerns."""
    chosen = _Chosen(do, _numbers(numbers), asked)
    changed = [] if problem_of(reason) else await _carry_out(context(request), chosen, who.who, reason)
    if not changed:
        return await _confirmation(request, chosen, reason)
    result = urlencode({"done": changed[0], "asked": asked})
    return RedirectResponse(f"/notices?{result}", HTTPStatus.SEE_OTHER)


async def _carry_out(web: WebContext, chosen: _Chosen, who: str, reason: str) -> list[int]:
    now, ids = web.now(), chosen.numbers
    match chosen.command:
        case NoticeCommand.RELEASE:
            return await operator_actions.release(web.db, now, who, reason, ids)
        case NoticeCommand.DROP:
            return await operator_actions.drop(web.db, now, who, reason, ids)
    return await operator_actions.retry(web.db, now, who, NoticePolicy.of(web.settings), reason, ids)


async def _confirmation(request: Request, chosen: _Chosen, reason: str) -> Response:
    """What will happen, to whom, and what has changed since these were chosen; or that nothing can happen any more."""
    policy = NoticePolicy.of(context(request).settings)
    async with reading(request) as conn:
        choice = await notice_choice_queries.choice(conn, chosen.command, chosen.numbers, all_held=chosen.every)
    problem = problem_of(reason)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK if choice.open else HTTPStatus.CONFLICT
    unchanged = say(f"Nothing: still {len(choice.open):,}.")
    open_numbers = as_ranges(one.number for one in choice.open)
    fields = {"do": chosen.command, "numbers": open_numbers, "asked": chosen.asked}
    if problem:
        fields = {"do": chosen.command, "which": "chosen", "n": as_ranges(chosen.numbers)}
    return page(
        request,
        "confirm.html",
        status_code=status,
        section="Notices",
        question=choice.question(policy),
        possible=bool(choice.open),
        facts=[
            ("Readers", [choice.readers_said(policy)] if choice.open else []),
            ("What follows", [say(choice.consequence(policy))] if choice.open else []),
            ("Since you chose them", choice.changes or [unchanged]),
        ],
        reason=reason,
        problem=problem,
        fields=fields,
        post_to="/notices/confirm" if problem else "/notices/act",
        button="Go on" if problem else choice.button,
        back="/notices",
        emails=[(one, one.name_of(one.address(chosen.command, policy))) for one in choice.open[:SHOWN]],
        more=max(0, len(choice.open) - SHOWN),
    )


def _numbers(text: str) -> list[int]:
    try:
        return from_ranges(text)
    except BadNumbers:
        raise PageProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The numbers of the emails cannot be read, so nothing was done.",
            "Go back to the list, and choose again.",
            title="Which emails?",
        ) from None
