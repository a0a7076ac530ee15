"""The page between a form and its act: what will happen, to whom, what has changed since the form was made, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response

from monitor.reporting.notice_choice import ChosenNotice
from monitor.reporting.sentence import Sentence
from monitor.web.errors import RequestRefused
from monitor.web.number_ranges import MOST, BadNumbers, from_ranges
from monitor.web.reason import problem_of
from monitor.web.templating import page


@dataclass(frozen=True, slots=True)
class ActConfirmation:
    """`possible` is False where nothing is left to do. `fields` are sent to `act_at`, those of `again` to `ask_at`.

    `emails` are those that it concerns, each with its reader, and `more` are not shown.
    """

    section: str
    question: str
    possible: bool
    facts: Sequence[tuple[str, Sequence[Sentence]]]
    button: str
    act_at: str
    fields: Mapping[str, object]
    ask_at: str
    again: Mapping[str, object]
    back: str
    emails: Sequence[tuple[ChosenNotice, str]] = ()
    more: int = 0


def confirmation_page(request: Request, asked: ActConfirmation, reason: str) -> Response:
    """Without a reason that can be kept, the page asks for it again, and leads to itself."""
    problem = problem_of(reason)
    return page(
        request,
        "confirm.html",
        status_code=_status(asked, problem),
        section=asked.section,
        asked=asked,
        reason=reason,
        problem=problem,
        post_to=asked.ask_at if problem else asked.act_at,
        fields=asked.again if problem else asked.fields,
        button="Go on" if problem else asked.button,
    )


def _status(asked: ActConfirmation, problem: str) -> HTTPStatus:
    if problem:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.OK if asked.possible else HTTPStatus.CONFLICT


def numbers_of(field: str, what: str, most: int = MOST) -> list[int]:
    """The numbers in a field of a form; `what` names the things that they are of."""
    try:
        return from_ranges(field, most)
    except BadNumbers:
        raise RequestRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "bad_numbers",
            f"the numbers of the {what} cannot be read: nothing was done",
            "Go back to the list, and choose again.",
        ) from None
