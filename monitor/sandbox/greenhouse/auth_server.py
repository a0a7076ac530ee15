"""Greenhouse's auth server for Harvest v3: `POST /token` and `POST /introspect`.

Here it shares the API's port; Greenhouse has it on a separate host. Its refusals were measured without a credential on
2026-08-11 (w6w Greenhouse app, README and auth/token.ts), a new token was recorded on 2026-05-11 (Grayscale's
greenhouse_io); `errorId` is made up.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

from monitor.sandbox.greenhouse.admission import Decision, blocked, too_many_requests
from monitor.sandbox.greenhouse.clients import Client, IssuedToken, Tokens
from monitor.sandbox.greenhouse.rate_limit import RateLimitWindow, token_headers
from monitor.sandbox.greenhouse.request import Authorization, SandboxRequest
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.responses import NOT_FOUND, Reply, challenge, document, message
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
    """Token requests have a separate window, which each answer states (recorded 2026-05-11)."""
    take = applicant.window.take_of(now, applicant.settings.token_limit)
    decision = _decided_token(request, applicant, now) if take.allowed else too_many_requests(take, now)
    stated = token_headers(take, now, applicant.settings)
    return decision._replace(reply=decision.reply.adding(*stated))


def _decided_token(request: SandboxRequest, applicant: Applicant, now: float) -> Decision:
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
    invalid = _invalid_client(applicant.settings)
    if client is None and not _ID_SUFFIX.search(applicant.client_id):
        text = f"client_id={applicant.client_id} does not contain a valid client ID suffix"
        return Decision(_with_error_id(400, text, now), AnswerReason.MALFORMED_CLIENT)
    if client is None:
        return Decision(invalid, AnswerReason.UNKNOWN_CLIENT)
    if not applicant.secret_fits:
        return Decision(invalid, AnswerReason.WRONG_SECRET)
    return Decision(invalid, AnswerReason.DEAD_CLIENT) if client.dead else client


def _invalid_client(settings: SandboxSettings) -> Reply:
    if settings.challenges:
        return challenge(401, "Basic", "invalid_client")
    return document(401, {"error": "invalid_client"})


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
    reply = document(200, content).adding((b"Cache-Control", b"private, no-store"))
    return Decision(reply, AnswerReason.ISSUED)


def _expiry(token: IssuedToken, client: Client, settings: SandboxSettings) -> dict[str, Any]:
    moment = datetime.fromtimestamp(token.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
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
    reply = document(200, _facts(token, applicant.settings))
    if applicant.settings.introspected_scope == "twice":
        few = json.dumps({"scope": " ".join(sorted(token.scopes)[:9])}).encode()[1:]
        reply = reply._replace(body=reply.body[:-1] + b"," + few)
    return Decision(reply, AnswerReason.SERVED)


def _facts(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    """The fields that integrations read (slates Greenhouse integration, auth.ts, 2026)."""
    client = token.client
    facts = {"active": True, "client_id": client.client_id, "sub": token.sub, "exp": token.expires_at}
    return facts | _scope(token, settings) | _claims(token, settings)


def _scope(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    names = sorted(token.issued_with if settings.stale_scopes else token.scopes)
    if settings.introspected_scope == "absent":
        return {}
    return {"scope": _SCOPE_SHAPES[settings.introspected_scope](names)}


_SCOPE_SHAPES: dict[str, Callable[[list[str]], Any]] = {
    "string": " ".join,
    "list": list,
    "odd_spacing": lambda names: "  " + " \n".join(names) + "\t",
    "commas": ", ".join,
    "semicolons": "; ".join,
    "quoted": lambda names: f'"{" ".join(names)}"',
    "escaped": lambda names: quote(" ".join(names)),
    "upper_case": lambda names: " ".join(names).upper(),
    "urls": lambda names: " ".join(f"https://api.greenhouse.io/{name}" for name in names),
    "cut_off": lambda names: " ".join(names)[: len(" ".join(names)) // 2],
    "joined_list": lambda names: [" ".join(names)],
    "objects": lambda names: [{"name": name} for name in names],
    "twice": " ".join,
}


def _claims(token: IssuedToken, settings: SandboxSettings) -> dict[str, Any]:
    account = token.client.account
    claims = {
        "organization": {"id": account.organization_id, "name": account.organization_name},
        "user_role": token.role,
    }
    shapes: dict[str, dict[str, Any]] = {
        "nested": {CLAIMS: claims},
        "flat": claims,
        "absent": {},
        "contradicting": {CLAIMS: claims, "user_role": "Interviewer"},
    }
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
