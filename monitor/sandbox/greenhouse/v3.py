"""Greenhouse's Harvest v3: lists under `/v3` for requests with a token, and the writes, which change nothing here."""

from typing import NamedTuple

from checks.catalogue.scopes import Scope
from monitor.sandbox.greenhouse.admission import Decision, blocked, too_many_requests
from monitor.sandbox.greenhouse.clients import IssuedToken
from monitor.sandbox.greenhouse.rate_limit import RateLimitWindow, v3_headers
from monitor.sandbox.greenhouse.request import Authorization, SandboxRequest
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.responses import NOT_FOUND, UNDECODABLE, Reply, challenge, document, message
from monitor.sandbox.greenhouse.scopes import ROOT, scope_for
from monitor.sandbox.greenhouse.settings import SandboxSettings

_LIST_TYPE = b"application/json;charset=utf-8"
_CHALLENGES = {401: "invalid_token", 403: "insufficient_scope"}


class Bearer(NamedTuple):
    """Who sends a request to v3: the client of a known token, or a stranger."""

    authorization: Authorization
    token: IssuedToken | None
    settings: SandboxSettings
    window: RateLimitWindow

    @property
    def account(self) -> str | None:
        return self.token.client.account.name if self.token is not None else None

    @property
    def label(self) -> str | None:
        return self.token.client.label if self.token is not None else None


def is_v3(path: str) -> bool:
    return path.startswith(ROOT) and path[len(ROOT) :][:1] in ("", "/")


def decide(request: SandboxRequest, bearer: Bearer, now: float) -> Decision:
    """The answer to one request, with the rate limit in its headers, as in every answer of v3."""
    if bearer.settings.blocked:
        return blocked()
    take = bearer.window.take_of(now, bearer.settings.v3_limit, bearer.settings.other_traffic)
    decision = _answer(request, bearer, now) if take.allowed else too_many_requests(take, now)
    if bearer.settings.challenges and decision.reply.status in _CHALLENGES:
        status = decision.reply.status
        decision = decision._replace(reply=challenge(status, "Bearer", _CHALLENGES[status]))
    return decision._replace(reply=decision.reply.adding(*v3_headers(take, now, bearer.settings)))


def _answer(request: SandboxRequest, bearer: Bearer, now: float) -> Decision:
    """The path is checked before the token: measured on 2026-08-11 (w6w Greenhouse app, README); unlike v1."""
    scope = scope_for(request.method, request.path)
    if scope is None:
        return Decision(message(404, NOT_FOUND), AnswerReason.NO_ROUTE)
    token = bearer.token
    if token is None or not token.lives(now):
        return _unauthorized(bearer)
    if scope.name not in token.scopes:
        return _forbidden(AnswerReason.NO_SCOPE)
    return _list(scope, token, bearer.settings) if request.method == "GET" else _change(request, scope)


def _unauthorized(bearer: Bearer) -> Decision:
    """The answer to no token was measured. An undecodable one is assumed to get the same; for a dead one a 401 is
    recorded, without its body.
    """
    if bearer.token is not None:
        return Decision(message(401, "Unauthorized"), AnswerReason.DEAD_TOKEN)
    reply = document(401, {"message": "Unauthorized", "errors": [UNDECODABLE]})
    has_token = bearer.authorization is Authorization.BEARER
    return Decision(reply, AnswerReason.UNKNOWN_TOKEN if has_token else AnswerReason.NO_TOKEN)


def _list(scope: Scope, token: IssuedToken, settings: SandboxSettings) -> Decision:
    """Lists are for Site Admins. Others are refused, or get an empty list: the documentation can be read both ways."""
    if not _is_available(scope, token, settings):
        return _forbidden(AnswerReason.NOT_FOR_THIS_ACCOUNT)
    if token.is_site_admin:
        return Decision(_records(scope, token), AnswerReason.SERVED)
    if settings.non_admin_lists == "empty":
        return Decision(_last_page([]), AnswerReason.NOT_SITE_ADMIN)
    return _forbidden(AnswerReason.NOT_SITE_ADMIN)


def _is_available(scope: Scope, token: IssuedToken, settings: SandboxSettings) -> bool:
    """Two lists need more than the scope: webhooks a partner's client, opt-outs the product Talent Matching."""
    if scope.needs is None:
        return True
    return token.client.grant == "partner" if scope.resource == "webhooks" else settings.talent_matching


def _records(scope: Scope, token: IssuedToken) -> Reply:
    return _last_page([token.client.account.records.of_v3(scope.resource)])


def _last_page(records: list[object]) -> Reply:
    """Type and header as recorded on 2026-05-11: on the last page `Link` is there, and empty."""
    return document(200, records)._replace(content_type=_LIST_TYPE).adding((b"Link", b""))


def _change(request: SandboxRequest, scope: Scope) -> Decision:
    """A write with its scope counts as a change, whatever its record and body. Its answer is assumed."""
    change = f"would have used {scope.name} on {request.path}"
    return Decision(document(201 if request.method == "POST" else 200, {}), AnswerReason.CHANGED, change)


def _forbidden(reason: AnswerReason) -> Decision:
    """403 is documented for each operation as "Forbidden"; no body is recorded, so this one is assumed."""
    return Decision(message(403, "Forbidden"), reason)
