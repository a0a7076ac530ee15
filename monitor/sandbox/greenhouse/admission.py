"""What Greenhouse checks before it looks at the request itself: network, retirement, rate limit, key."""

from typing import NamedTuple

from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.greenhouse.rate_limit import RateLimitWindow, Take, refused_headers, retry_after
from monitor.sandbox.greenhouse.request import Authorization, SandboxRequest
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.responses import INVALID_KEY, NOT_FOUND, Reply, message, page, redirect
from monitor.sandbox.greenhouse.settings import Retirement, SandboxSettings

_GONE = "Harvest API v1 and v2 are no longer available"


class Caller(NamedTuple):
    """Who sends a request to v1: a key of an account, or a stranger; with the settings and the window that apply."""

    authorization: Authorization
    key: Key | None
    settings: SandboxSettings
    window: RateLimitWindow

    @property
    def account(self) -> str | None:
        return self.key.account.name if self.key is not None else None

    @property
    def label(self) -> str | None:
        return self.key.label if self.key is not None else None


class Decision(NamedTuple):
    """An answer, its reason, and the change it stands for, e.g. "would have rejected application 7"."""

    reply: Reply
    reason: AnswerReason
    change: str | None = None


def edge_refusal(request: SandboxRequest, settings: SandboxSettings) -> Decision | None:
    """What the network in front of the API refuses; such an answer has no rate limit headers.

    That a GET with a body gets 403 is documented (2025-08-13); that it comes from the edge, as HTML, is assumed. How a
    caller from a wrong address is refused is not documented at all.
    """
    if request.method == "GET" and request.body:
        return Decision(page(403, "403 ERROR: The request could not be satisfied."), AnswerReason.GET_WITH_BODY)
    if settings.blocked:
        return blocked()
    if settings.retired is not None and settings.retired is not Retirement.UNAUTHORIZED:
        return Decision(_retired(settings.retired, settings.retired_location), AnswerReason.RETIRED)
    return None


def blocked() -> Decision:
    return Decision(page(403, "403 Forbidden"), AnswerReason.BLOCKED)


def _retired(retirement: Retirement, location: str) -> Reply:
    match retirement:
        case Retirement.NOT_FOUND_JSON:
            return message(404, NOT_FOUND)
        case Retirement.GONE_JSON:
            return message(410, _GONE)
        case Retirement.MOVED:
            return redirect(301, location)
        case Retirement.FORBIDDEN_HTML:
            return page(403, "403 Forbidden")
        case Retirement.GONE_HTML:
            return page(410, "410 Gone")
    return page(404, "404 Not Found")


def limit_refusal(take: Take, now: float, settings: SandboxSettings) -> Decision | None:
    """429 leaves out Limit and Remaining, as documented for the audit log on the same host. Its body is assumed."""
    if take.allowed:
        return None
    headers = refused_headers(take.reset_at, now) if settings.limit_headers else ()
    return Decision(message(429, "Rate limit exceeded").adding(*headers), AnswerReason.RATE_LIMITED)


def too_many_requests(take: Take, now: float) -> Decision:
    """Of v3 and its auth server, whose headers state the limit in every answer. Its body is assumed."""
    reply = message(429, "Rate limit exceeded").adding(retry_after(take.reset_at, now))
    return Decision(reply, AnswerReason.RATE_LIMITED)


def admit(caller: Caller) -> Key | Decision:
    """The live key, or the refusal. It comes before routing: recorded on 2026-08-11 for a path that does not exist."""
    if caller.settings.retired is Retirement.UNAUTHORIZED:
        return Decision(message(401, INVALID_KEY), AnswerReason.RETIRED)
    if caller.authorization is Authorization.MALFORMED:
        return Decision(message(400, "Bad request"), AnswerReason.MALFORMED_AUTHORIZATION)
    if caller.authorization is not Authorization.BASIC:
        return Decision(message(401, INVALID_KEY), AnswerReason.NO_KEY)
    if caller.key is None:
        return Decision(message(401, INVALID_KEY), AnswerReason.UNKNOWN_KEY)
    return Decision(message(401, INVALID_KEY), AnswerReason.DEAD_KEY) if caller.key.dead else caller.key
