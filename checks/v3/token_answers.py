"""What the auth server of Harvest v3 says about a token, read tolerantly, and reduced to what a check may rest on.

Field names are those of integrations in use (2026): `active`, `client_id`, `scope`, `exp`, and a claim that holds
organization and role. Greenhouse documents no answer of introspection, so each may be absent or elsewhere.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from checks.answer import Answer, AnswerKind, looks_like_html, parse_json
from checks.connection_failure import ConnectionFailure
from checks.credential import Secret, Token
from checks.errors import CredentialError
from checks.v3.challenge import challenge_error
from checks.v3.scope_value import ScopeValue, read_scopes

CLAIMS = "https://auth.greenhouse.io/claims"
UNREADABLE = "?"
# A token that has expired by the auth server's clock must not look revoked because ours is a little behind.
CLOCKS_DIFFER = timedelta(minutes=5)
_TIMESTAMPS = (946_684_800, 4_102_444_800)  # 2000 to 2100, in seconds; what lies outside is no moment
_NAMING_SCOPES = ("scope", "scopes")
_TWICE = object()
"""The value of a key that a JSON object gives more than once: readers differ in which one they take."""


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

    `names_none` tells the two apart, as far as that goes: scopes were given, and there was none among them.
    `scopes_unreadable` is a third: they were given, and not wholly understood. `role` is the acting user's, None for a
    token that acts for nobody; `role_stated` is whether it was given at all. `contradicted`: one part of the answer
    says otherwise than another. Its repr leaves out whose token it is.
    """

    active: bool | None
    client_id: str | None = field(default=None, repr=False)
    scopes: frozenset[str] | None = None
    organization: str | None = field(default=None, repr=False)
    role: str | None = field(default=None, repr=False)
    role_stated: bool = False
    expires_at: datetime | None = None
    names_none: bool = False
    scopes_unreadable: bool = False
    contradicted: bool = False

    def contradicts_itself(self, now: datetime) -> bool:
        """Also where it calls a token active whose end it puts into the past, by more than clocks differ."""
        ended = self.expires_at is not None and self.expires_at < now - CLOCKS_DIFFER
        return self.contradicted or bool(self.active and ended)


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """One reduced answer of the auth server: to an introspection, or to a request for a new token.

    `failure` is as in `Answer`.
    """

    kind: AuthKind
    status: int | None = None
    html: bool = False
    introspection: Introspection | None = None
    token: Token | None = None
    failure: ConnectionFailure | None = None

    def as_answer(self) -> Answer:
        """The same as a plain answer, for counting and for the breaker."""
        return Answer(_AS_ANSWER.get(self.kind, AnswerKind.JSON), self.status, self.html, failure=self.failure)


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
    html = looks_like_html(headers, body)
    if not document and not html and (error := challenge_error(headers)):
        document = {"error": error}
    return _kind(status, document), document, html


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _unambiguous(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = _TWICE if key in found else value
    return found


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
        case "invalid_token" | "insufficient_scope":
            return AuthKind.UNUSABLE
    return AuthKind.BLOCKED if status in (401, 403) else AuthKind.UNUSABLE


def _words(document: Mapping[str, Any]) -> str:
    found = (document.get(name) for name in ("message", "error", "error_description"))
    return " ".join(" ".join(text.split()) for text in found if isinstance(text, str)).casefold()


def _introspection(document: Mapping[str, Any]) -> Introspection:
    claims = document.get(CLAIMS)
    sources = [claims, document] if isinstance(claims, dict) else [document]
    given = [source[name] for source in sources for name in _NAMING_SCOPES if source.get(name) is not None]
    scopes = ScopeValue(unreadable=True) if _names_scopes_elsewhere(sources) else _agreed_scopes(given)
    roles = [_role(source["user_role"]) for source in sources if "user_role" in source]
    organizations = list(dict.fromkeys(number for source in sources for number in _organizations(source)))
    moments = [moment for name in ("exp", "expires_at") if (moment := _moment(document.get(name)))]
    return Introspection(
        active=_truth(document.get("active")),
        client_id=_text(document.get("client_id")),
        scopes=scopes.names,
        organization=organizations[0] if len(organizations) == 1 else None,
        role=roles[0] if roles else None,
        role_stated=bool(roles),
        names_none=bool(given) and given[0] in ("", []) and not scopes.unreadable,
        expires_at=moments[0] if moments else None,
        scopes_unreadable=scopes.unreadable,
        contradicted=(
            len({None if role is None else folded(role) for role in roles}) > 1
            or len(organizations) > 1
            or (bool(moments) and max(moments) - min(moments) > CLOCKS_DIFFER)
            or any(_TWICE in source.values() for source in [*sources, *map(_nested, sources)])
        ),
    )


def _agreed_scopes(given: list[object]) -> ScopeValue:
    found = [read_scopes(value) for value in given] or [ScopeValue()]
    return found[0] if all(one == found[0] for one in found) else ScopeValue(unreadable=True)


def _names_scopes_elsewhere(sources: Iterable[Mapping[str, Any]]) -> bool:
    """Under a key that nobody has recorded, such as `granted_scope` or `scope_count`: what it adds is not known."""
    return any(
        "scope" in key.casefold() and key not in _NAMING_SCOPES and value is not None
        for source in sources
        for key, value in source.items()
    )


def _nested(source: Mapping[str, Any]) -> Mapping[str, Any]:
    organization = source.get("organization")
    return organization if isinstance(organization, dict) else {}


def folded(role: str) -> str:
    """However it is spelled: `Site Admin` and `SITE_ADMIN` are one role."""
    return "".join(character for character in role.casefold() if character.isalnum())


def _truth(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.casefold()) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _role(value: object) -> str | None:
    """Only null says that there is no user; a role that cannot be read is an unknown one."""
    return None if value is None else _text(value) or UNREADABLE


def _organizations(source: Mapping[str, Any]) -> list[str]:
    """The numbers it gives. A name beside a number is no second customer, and is compared with nothing."""
    given = [_nested(source).get("id"), source.get("organization"), source.get("organization_id")]
    texts = [text for value in given if not isinstance(value, dict) and (text := _text(value))]
    return [str(int(text)) for text in texts if re.fullmatch(r"[0-9]{1,20}", text)]


def _moment(value: object) -> datetime | None:
    """Seconds or milliseconds since 1970, also as text, or ISO 8601."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return next((datetime.fromtimestamp(seconds, UTC) for seconds in _seconds(value)), None)
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _seconds(number: float) -> list[float]:
    """Of the two readings the one that is a moment of this century: they are a thousand apart."""
    earliest, latest = _TIMESTAMPS
    readings = (number, number / 1000) if abs(number) <= 1000 * latest else ()
    return [seconds for seconds in readings if earliest <= seconds <= latest]


def _token(document: Mapping[str, Any]) -> Token | None:
    try:
        return Token(str(document.get("access_token") or ""))
    except CredentialError:
        return None
