"""What one answer says of Greenhouse itself, apart from what it says of a credential: pure."""

from enum import StrEnum

from checks.answer import Answer, AnswerKind


class Sign(StrEnum):
    """`served` shows that Greenhouse works and lets us in; the others are trouble that many may share."""

    SERVED = "served"
    RATE_LIMITED = "rate_limited"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"


_TROUBLE = {
    AnswerKind.RATE_LIMITED: Sign.RATE_LIMITED,
    AnswerKind.SERVER_ERROR: Sign.UNREACHABLE,
    AnswerKind.TIMEOUT: Sign.UNREACHABLE,
    AnswerKind.NO_CONNECTION: Sign.UNREACHABLE,
}


def sign_of(answer: Answer, served: bool) -> Sign | None:
    """None where an answer tells nothing of the kind. `served` is whether this check has been served before.

    A refusal in unknown words stands for a block if it is a page, or if nothing was served yet: one endpoint that
    refuses in new words, while others answer, is no barrier before Greenhouse.
    """
    if answer.kind is AnswerKind.UNKNOWN_REFUSAL:
        return Sign.BLOCKED if answer.html or not served else None
    if answer.usable or answer.kind.past_permission or answer.kind is AnswerKind.INVALID_KEY:
        return Sign.SERVED
    return _TROUBLE.get(answer.kind)
