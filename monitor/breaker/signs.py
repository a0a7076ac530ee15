"""What one answer says about Greenhouse itself, whatever it says about the credential: pure."""

from enum import StrEnum

from checks.answer import Answer, AnswerKind


class Sign(StrEnum):
    """`served`: Greenhouse works and lets us in. The others are trouble that many tenants may share."""

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
    """None if the answer says nothing about Greenhouse. `served`: this check has been served before.

    A refusal in unknown words means blocked if it is an HTML page, or if nothing was served yet. One endpoint that
    refuses in new words while others answer is no block.
    """
    if answer.kind is AnswerKind.UNKNOWN_REFUSAL:
        return Sign.BLOCKED if answer.html or not served else None
    # A refused key, too, shows that Greenhouse works and can be reached.
    if answer.usable or answer.kind.past_permission or answer.kind is AnswerKind.INVALID_KEY:
        return Sign.SERVED
    return _TROUBLE.get(answer.kind)
