"""Greenhouse's auth server for Harvest v3: `POST /token` and `POST /introspect`.

Here it shares the API's port; Greenhouse has it on a separate host. Its refusals were measured without a credential on
2026-08-11 (w6w Greenhouse app, README and auth/token.ts); `errorId` is made up.
"""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from monitor.sandbox.greenhouse.admission import Decision, blocked
from monitor.sandbox.greenhouse.clients import Client, IssuedToken, Tokens
from monitor.sandbox.greenhouse.rate_limit import RateLimitWindow, retry_after
from monitor.sandbox.greenhouse.request import Authorization, SandboxRequest
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.responses import NOT_FOUND, Reply, document, message
from monitor.sandbox.greenhouse.settings import SandboxSettings

TOKEN_PATH = "/token"  # noqa: S105  # no secret
INTROSPECT_PATH = "/introspect"
CLAIMS = "https://auth.greenhouse.io/claims"
_GRANT_TYPES = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)
_NO_GRANT_TYPE = "Must include `grant_type` parameter in /token request"
_NO_SCOPES = "Client application is not requesting any scopes"
_ID_SUFFIX = re.compile(r"-\d+$")  # "the trailing `-<n>` suffix Greenhouse appends", w6w auth/token.ts

Form = dict[str, str]


class Applicant(NamedTuple):
    """Who sends a request to the auth server: the client with this id, or a stranger."""

    authorization: Authorization
    client_id: str
    client: Client | None
    secret_fits: bool
    settings: SandboxSettings
    window: RateLimitWindow

    @property
    def account(self) -> str | None:
        return self.client.account.name if self.client is not None else None

    @property
    def label(self) -> str | None:
        return self.client.label if self.client is not None else None


def decide(request: SandboxRequest, applicant: Applicant, tokens: Tokens, now: float) -> Decision:
    """The answer to one request. The answer to other methods is assumed."""
    if applicant.settings.blocked:
        return blocked()
    if request.method != "POST":
        return Decision(message(404, NOT_FOUND), AnswerReason.NO_ROUTE)
    if request.path == INTROSPECT_PATH:
        return _introspection(_form(request), applicant, tokens, now)
    return _token(request, applicant, now)


def _token(request: SandboxRequest, applicant: Applicant, now: float) -> Decision:
    """Token requests have a separate window (rate limit guide); the 429's body is assumed."""
    take = applicant.window.take_of(now, applicant.settings.token_limit)
    if not take.allowed:
        return Decision(
            message(429, "Rate limit exceeded").adding(retry_after(take.reset_at, now)), AnswerReason.RATE_LIMITED
        )
    # Greenhouse's partner guide puts the parameters of a code into the query, integrations in use into the form.
    form = request.query | _form(request)
    client = _unauthorized(applicant, now) or _grant_type_refusal(form) or _client(applicant, now)
    return _grant(form, client, applicant.settings, now) if isinstance(client, Client) else client


def _unauthorized(applicant: Applicant, now: float) -> Decision | None:
    """Only an absent header is recorded; a malformed one is assumed to get the same."""
    if applicant.authorization is Authorization.BASIC:
        return None
    return Decision(_with_error_id(401, "Unauthorized", now), AnswerReason.NO_CLIENT)


def _grant_type_refusal(form: Form) -> Decision | None:
    """It is checked before the client: measured without a valid credential."""
    grant_type = form.get("grant_type", "")
    if not grant_type:
        return Decision(message(400, _NO_GRANT_TYPE), AnswerReason.BAD_GRANT)
    if grant_type in _GRANT_TYPES:
        return None
    text = f"grant_type={grant_type} is invalid, please use one of: {', '.join(_GRANT_TYPES)}"
    return Decision(message(400, text), AnswerReason.BAD_GRANT)


def _client(applicant: Applicant, now: float) -> Client | Decision:
    """The live client, or the refusal. Greenhouse echoes a malformed id. A disabled client's refusal is assumed."""
    client = applicant.client
    if client is None and not _ID_SUFFIX.search(applicant.client_id):
        text = f"client_id={applicant.client_id} does not contain a valid client ID suffix"
        return Decision(_with_error_id(400, text, now), AnswerReason.MALFORMED_CLIENT)
    if client is None:
        return _oauth_error(401, "invalid_client", AnswerReason.UNKNOWN_CLIENT)
    if not applicant.secret_fits:
        return _oauth_error(401, "invalid_client", AnswerReason.WRONG_SECRET)
    return _oauth_error(401, "invalid_client", AnswerReason.DEAD_CLIENT) if client.dead else client


def _grant(form: Form, client: Client, settings: SandboxSettings, now: float) -> Decision:
    """Codes and refresh tokens are never issued here, so none is valid.

    Partners have no client credentials grant (Greenhouse's read and write guides). For a client without scopes the text
    is recorded (MeltanoLabs/tap-greenhouse), its status is not. A `sub` that is no number is refused by assumption.
    """
    if form["grant_type"] != "client_credentials":
        return _oauth_error(400, "invalid_grant", AnswerReason.BAD_GRANT)
    if client.grant == "partner":
        return _oauth_error(400, "unauthorized_client", AnswerReason.BAD_GRANT)
    if not client.ticked:
        return Decision(_with_error_id(400, _NO_SCOPES, now), AnswerReason.NO_SCOPES)
    sub = form.get("sub", "")
    if sub and not (sub.isascii() and sub.isdigit()):
        return _oauth_error(400, "invalid_request", AnswerReason.INVALID)
    token = client.new_token(now, sub or None)
    content = {"token_type": "Bearer", "access_token": token.text} | _expiry(token, client, settings)
    return Decision(document(200, content), AnswerReason.ISSUED)


def _expiry(token: IssuedToken, client: Client, settings: SandboxSettings) -> dict[str, Any]:
    moment = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    shapes: dict[str, dict[str, Any]] = {
        "expires_at": {"expires_at": moment},
        "expires_in": {"expires_in": client.ttl},
        "both": {"expires_in": client.ttl, "expires_at": moment},
        "none": {},
    }
    return shapes[settings.expiry]


def _introspection(form: Form, applicant: Applicant, tokens: Tokens, now: float) -> Decision:
    """For the client that the token was issued to. Refusals are assumed to be those of `/token`.

    That another client's token or a dead one is answered with `active: false` alone is from RFC 7662, assumed here.
    """
    client = _unauthorized(applicant, now) or _client(applicant, now)
    if not isinstance(client, Client):
        return client
    if not form.get("token"):
        return _oauth_error(400, "invalid_request", AnswerReason.INVALID)
    token = tokens.find(form["token"])
    if token is None or token.client is not client or not token.lives(now):
        return Decision(document(200, {"active": False}), AnswerReason.INACTIVE_TOKEN)
    return Decision(document(200, _facts(token, applicant.settings)), AnswerReason.SERVED)


def _facts(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    """The fields that integrations read (slates Greenhouse integration, auth.ts, 2026)."""
    client = token.client
    facts = {"active": True, "client_id": client.client_id, "sub": token.sub, "exp": token.expires_at}
    return facts | _scope(token, settings) | _claims(token, settings)


def _scope(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    names = sorted(token.issued_with if settings.stale_scopes else token.scopes)
    shapes: dict[str, dict[str, Any]] = {
        "string": {"scope": " ".join(names)},
        "list": {"scope": names},
        "odd_spacing": {"scope": "  " + " \n".join(names) + "\t"},
        "absent": {},
    }
    return shapes[settings.introspected_scope]


def _claims(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    account = token.client.account
    claims = {
        "organization": {"id": account.organization_id, "name": account.organization_name},
        "user_role": token.role,
    }
    shapes: dict[str, dict[str, Any]] = {"nested": {CLAIMS: claims}, "flat": claims, "absent": {}}
    return shapes[settings.introspected_claims]


def _form(request: SandboxRequest) -> Form:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


def _oauth_error(status: int, name: str, reason: AnswerReason) -> Decision:
    return Decision(document(status, {"error": name}), reason)


def _with_error_id(status: int, text: str, now: float) -> Reply:
    return document(status, {"message": text, "errorId": f"err-{int(now * 1000):x}"})
