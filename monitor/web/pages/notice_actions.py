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
from monitor.reporting.notice_choice import Choice, NoticeCommand
from monitor.reporting.sentence import say
from monitor.web.auth.identity import Identity, operator
from monitor.web.confirmation import ActConfirmation, confirmation_page, numbers_of
from monitor.web.context import WebContext, context, reading
from monitor.web.errors import RequestRefused
from monitor.web.number_ranges import MOST, as_ranges
from monitor.web.reason import Reason, problem_of

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
    numbers = numbers_of(everything if which == "all" else " ".join(n or ()), "emails")
    if which not in ("all", "chosen") or not numbers:
        raise RequestRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "nothing_chosen",
            "no email was chosen: nothing was done",
            "Go back, and tick the emails that you mean, or choose all of them.",
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
    chosen = _Chosen(do, numbers_of(numbers, "emails"), asked)
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
    return confirmation_page(request, _asked(chosen, choice, policy), reason)


def _asked(chosen: _Chosen, choice: Choice, policy: NoticePolicy) -> ActConfirmation:
    concerned = choice.open
    facts = [("Since you chose them", choice.changes or [say(f"Nothing: still {len(concerned):,}.")])]
    if concerned:
        follows = ("What follows", [say(choice.consequence(policy))])
        facts = [("Readers", [choice.readers_said(policy)]), follows, *facts]
    return ActConfirmation(
        section="Notices",
        question=choice.question(policy),
        possible=bool(concerned),
        facts=facts,
        button=choice.button,
        act_at="/notices/act",
        fields={
            "do": chosen.command,
            "numbers": as_ranges(one.number for one in concerned),
            "asked": chosen.asked,
        },
        ask_at="/notices/confirm",
        again={"do": chosen.command, **_as_in_form(chosen)},
        back="/notices",
        emails=[(one, one.name_of(one.address(chosen.command, policy))) for one in concerned[:SHOWN]],
        more=max(0, len(concerned) - SHOWN),
    )


def _as_in_form(chosen: _Chosen) -> dict[str, str]:
    numbers = as_ranges(chosen.numbers)
    return {"which": "all", "all": numbers} if chosen.every else {"which": "chosen", "n": numbers}
