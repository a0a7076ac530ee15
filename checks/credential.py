"""A tenant's credential: its kind, the states it can be in, and the fingerprint it is known by."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from checks.errors import CredentialError


class CredentialKind(StrEnum):
    HARVEST_KEY = "harvest-key"
    HARVEST_OAUTH = "harvest-oauth"

    @property
    def version(self) -> str:
        """The Harvest that it opens, in short."""
        return "v1" if self is CredentialKind.HARVEST_KEY else "v3"


class CredentialState(StrEnum):
    """The state of the credential as a whole; the worst of a tenant's credentials is the tenant's."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"
    BLOCKED = "blocked"
    RETIRED = "retired"
    INVALID = "invalid"

    @property
    def severity(self) -> int:
        # The order of the members is the order of severity.
        return list(CredentialState).index(self)


class Secret:
    """A key that cannot be printed, logged, pickled or compared by accident; `reveal()` is the one way to it."""

    __slots__ = ("_text",)
    WHAT: ClassVar[str] = "key"
    LONGEST: ClassVar[int] = 512

    def __init__(self, text: str) -> None:
        if not re.fullmatch(rf"[\x21-\x7e]{{1,{self.LONGEST}}}", text):
            raise CredentialError(
                f"the {self.WHAT} is empty, longer than {self.LONGEST} characters, or holds a space, a line break or a "
                f"character outside ASCII: store the {self.WHAT} itself and nothing else"
            )
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")


class Token(Secret):
    """An access token of Harvest v3; as a JWT it has one or two thousand characters."""

    __slots__ = ()
    WHAT = "token"
    LONGEST = 8192

    def __repr__(self) -> str:
        return "Token(***)"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A credential of Harvest v3. `token` is the one the integration holds; None where each check mints one.

    `sub` is the number of the user for whom a new token is to act, `organization` that of the customer at Greenhouse;
    None if the tenants file does not name it.
    """

    client_id: Secret
    secret: Secret
    token: Token | None = None
    sub: str | None = None
    organization: str | None = None

    @property
    def needs_introspection(self) -> bool:
        """Nothing else tells that a token that was handed to us is this customer's, where that was asked for."""
        return self.token is not None and self.organization is not None


def fingerprint(credential: Secret | OAuthClient, installation_key: bytes) -> str:
    """What a credential is known by in records: HMAC-SHA-256 under the installation's own key, 16 hex digits.

    Of a client its id and secret count, and not the token, which is another one every hour.
    """
    match credential:
        case OAuthClient(client_id=client_id, secret=secret):
            text = f"{client_id.reveal()}:{secret.reveal()}"
        case Secret():
            text = credential.reveal()
    # It is stored: a change here would make every credential look replaced.
    return hmac.new(installation_key, text.encode("ascii"), hashlib.sha256).hexdigest()[:16]


def basic_authorization(secret: Secret) -> str:
    """The Authorization header of a Harvest key: the key as user name, an empty password.

    CredentialError for a key with a colon, which Basic authentication could not tell from its password.
    """
    if ":" in secret.reveal():
        raise CredentialError("the key holds a colon, which no Harvest key does: store the key itself and nothing else")
    # Not base64 of `key:`, with its colon, is answered with 400 (grnhse/greenhouse-api-docs issue 444).
    return "Basic " + base64.b64encode(f"{secret.reveal()}:".encode("ascii")).decode("ascii")


def client_authorization(client: OAuthClient) -> str:
    """The Authorization header for the auth server; CredentialError for a client id with a colon, which none has."""
    if ":" in client.client_id.reveal():
        raise CredentialError("the client id holds a colon, which none does: store the client id and nothing else")
    pair = f"{client.client_id.reveal()}:{client.secret.reveal()}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def bearer_authorization(token: Token) -> str:
    return f"Bearer {token.reveal()}"
