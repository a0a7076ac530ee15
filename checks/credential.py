"""A tenant's credential: its kind, the states it can be in, and the fingerprint it is known by."""

import base64
import hashlib
import hmac
import re
from enum import StrEnum

from checks.errors import CredentialError


class CredentialKind(StrEnum):
    HARVEST_KEY = "harvest-key"
    HARVEST_OAUTH = "harvest-oauth"


class CredentialState(StrEnum):
    """How the credential as a whole stands; the worst of a tenant's credentials is the tenant's."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"
    BLOCKED = "blocked"
    RETIRED = "retired"
    INVALID = "invalid"

    @property
    def severity(self) -> int:
        return list(CredentialState).index(self)


class Secret:
    """A key that can not be printed, logged, pickled or compared by accident; `reveal()` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not re.fullmatch(r"[\x21-\x7e]{1,512}", text):
            raise CredentialError(
                "the key is empty, longer than 512 characters, or holds a space, a line break or a character outside "
                "ASCII: store the key itself and nothing else"
            )
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")


def fingerprint(secret: Secret, installation_key: bytes) -> str:
    """What a secret is known by in records: HMAC-SHA-256 under the installation's own key, 16 hex digits."""
    return hmac.new(installation_key, secret.reveal().encode("ascii"), hashlib.sha256).hexdigest()[:16]


def basic_authorization(secret: Secret) -> str:
    """The Authorization header of a Harvest key: the key as user name, an empty password.

    CredentialError for a key with a colon, which Basic authentication could not tell from its password.
    """
    if ":" in secret.reveal():
        raise CredentialError("the key holds a colon, which no Harvest key does: store the key itself and nothing else")
    return "Basic " + base64.b64encode(f"{secret.reveal()}:".encode("ascii")).decode("ascii")
