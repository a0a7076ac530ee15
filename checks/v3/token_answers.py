"""What the auth server of Harvest v3 says about a token, read tolerantly, and reduced to what a check may rest on.

Field names are those of integrations in use (2026): `active`, `client_id`, `scope`, `exp`, and a claim that holds
organization and role. Greenhouse documents no answer of introspection, so each may be absent or elsewhere.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from checks.answer import Answer, AnswerKind, looks_like_html, parse_json
from checks.credential import Secret, Token
from checks.errors import CredentialError

CLAIMS = "https://auth.greenhouse.io/claims"
UNREADABLE = "?"
# A token that has expired by the auth server's clock must not look revoked because ours is a little behind.
CLOCKS_DIFFER = timedelta(minutes=5)
_SCOPE = re.compile(r"[\x21-\x7e]{1,120}")
_TIMESTAMPS = (946_684_800, 4_102_444_800)  # 2000 to 2100, in seconds; a number outside is no time


class AuthKind(StrEnum):
    """What an answer of the auth server means, before any rule is applied (recorded on 2026-08-11 where not said)."""

    JSON = "json"  # 200 with a JSON object
    INVALID_CLIENT = "invalid_client"  # 401 {"error": "invalid_client"}
    MALFORMED_CLIENT = "malformed_client"  # 400 "… does not contain a valid client ID suffix", which echoes the id
    NO_SCOPES = "no_scopes"  # "Client application is not requesting any scopes" (a third party's code)
    GRANT_REFUSED = "grant_refused"  # unauthorized_client, invalid_grant: this client may not have such a token
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    BLOCKED = "blocked"  # 401/403 that is none of the above
    UNUSABLE = "unusable"  # anything else, such as HTML, or a body too long to be read
    TIMEOUT = "timeout"
    NO_CONNECTION = "no_connection"


_AS_ANSWER = {
    AuthKind.RATE_LIMITED: AnswerKind.RATE_LIMITED,
    AuthKind.SERVER_ERROR: AnswerKind.SERVER_ERROR,
    AuthKind.BLOCKED: AnswerKind.UNKNOWN_REFUSAL,
    AuthKind.UNUSABLE: AnswerKind.UNEXPECTED,
    AuthKind.TIMEOUT: AnswerKind.TIMEOUT,
    AuthKind.NO_CONNECTION: AnswerKind.NO_CONNECTION,
    AuthKind.INVALID_CLIENT: AnswerKind.UNAUTHORIZED,
}


@dataclass(frozen=True, slots=True)
class Introspection:
    """What the auth server knows of a token; None where it does not say. `scopes` is None also if it names none.

    `names_none` distinguishes the two as far as possible: a scope field was there, with no scope in it. `role` is the
    acting user's, None for a token that acts for no user; `role_stated` is whether it was given at all. The repr
    leaves out whose token it is.
    """

    active: bool | None
    client_id: str | None = field(default=None, repr=False)
    scopes: frozenset[str] | None = None
    organization: str | None = field(default=None, repr=False)
    role: str | None = field(default=None, repr=False)
    role_stated: bool = False
    expires_at: datetime | None = None
    names_none: bool = False


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """One reduced answer of the auth server: to an introspection, or to a request for a new token."""

    kind: AuthKind
    status: int | None = None
    html: bool = False
    introspection: Introspection | None = None
    token: Token | None = None

    def as_answer(self) -> Answer:
        """The same as a plain answer, for counting and for the breaker."""
        return Answer(_AS_ANSWER.get(self.kind, AnswerKind.JSON), self.status, self.html)


def introspected(status: int, headers: Mapping[str, str], body: bytes, *, complete: bool = True) -> AuthAnswer:
    """The answer to POST /introspect. `headers` has lower-case names; `complete` is false for a body that was cut."""
    kind, document, html = _reduced(status, headers, body, complete)
    introspection = _introspection(document) if kind is AuthKind.JSON else None
    # A sign-in page of something in between may be a 200 with JSON, too.
    if introspection is not None and introspection.active is None:
        return AuthAnswer(AuthKind.UNUSABLE, status, html)
    return AuthAnswer(kind, status, html, introspection=introspection)


def minted(status: int, headers: Mapping[str, str], body: bytes, *, complete: bool = True) -> AuthAnswer:
    """The answer to POST /token."""
    kind, document, html = _reduced(status, headers, body, complete)
    # Its expiry is not read (documented `expires_in`, recorded `expires_at`, 2026-05-11): introspection comes next.
    token = _token(document) if kind is AuthKind.JSON else None
    if kind is AuthKind.JSON and token is None:
        return AuthAnswer(AuthKind.UNUSABLE, status, html)
    return AuthAnswer(kind, status, html, token=token)


def expiry_of(token: Secret) -> datetime | None:
    """When a token expires, if it is a JWT that says so. Its signature does not matter here."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return _moment(claims.get("exp")) if isinstance(claims, dict) else None


def _reduced(
    status: int, headers: Mapping[str, str], body: bytes, complete: bool
) -> tuple[AuthKind, dict[str, Any], bool]:
    document = _object(body) if complete else {}
    return _kind(status, document), document, looks_like_html(headers, body)


def _object(body: bytes) -> dict[str, Any]:
    document = parse_json(body)
    return document if isinstance(document, dict) else {}


def _kind(status: int, document: Mapping[str, Any]) -> AuthKind:
    if status >= 500:
        return AuthKind.SERVER_ERROR
    if status == 429:
        return AuthKind.RATE_LIMITED
    if status == 200:
        return AuthKind.JSON if document else AuthKind.UNUSABLE
    return _refusal(status, document)


def _refusal(status: int, document: Mapping[str, Any]) -> AuthKind:
    words = _words(document)
    if "not requesting any scopes" in words:
        return AuthKind.NO_SCOPES
    if "valid client id suffix" in words:
        return AuthKind.MALFORMED_CLIENT
    match document.get("error"):
        case "invalid_client":
            return AuthKind.INVALID_CLIENT
        case "unauthorized_client" | "invalid_grant" | "invalid_scope":
            return AuthKind.GRANT_REFUSED
    return AuthKind.BLOCKED if status in (401, 403) else AuthKind.UNUSABLE


def _words(document: Mapping[str, Any]) -> str:
    found = (document.get(name) for name in ("message", "error", "error_description"))
    return " ".join(" ".join(text.split()) for text in found if isinstance(text, str)).casefold()


def _introspection(document: Mapping[str, Any]) -> Introspection:
    claims = document.get(CLAIMS)
    sources = [claims, document] if isinstance(claims, dict) else [document]
    role_stated = any("user_role" in source for source in sources)
    return Introspection(
        active=_truth(document.get("active")),
        client_id=_text(document.get("client_id")),
        scopes=_scopes(document.get("scope", document.get("scopes"))),
        organization=next(filter(None, map(_organization, sources)), None),
        role=next((_role(source["user_role"]) for source in sources if "user_role" in source), None),
        role_stated=role_stated,
        names_none=document.get("scope", document.get("scopes")) in ("", []),
        expires_at=next(filter(None, (_moment(document.get(name)) for name in ("exp", "expires_at"))), None),
    )


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.casefold()) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _scopes(value: object) -> frozenset[str] | None:
    """A string with blanks between scopes, or a list of them. Nothing readable is as good as nothing given."""
    found = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    scopes = frozenset(one for one in found if isinstance(one, str) and _SCOPE.fullmatch(one))
    return scopes or None


def _role(value: object) -> str | None:
    """Only null says that there is no user; a role that cannot be read is an unknown one."""
    return None if value is None else _text(value) or UNREADABLE


def _organization(source: Mapping[str, Any]) -> str | None:
    found = source.get("organization", source.get("organization_id"))
    return _text(found.get("id")) if isinstance(found, dict) else _text(found)


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or ISO 8601."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC) if _TIMESTAMPS[0] <= value <= _TIMESTAMPS[1] else None
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _token(document: Mapping[str, Any]) -> Token | None:
    try:
        return Token(str(document.get("access_token") or ""))
    except CredentialError:
        return None
