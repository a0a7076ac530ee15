"""What an OpenID provider says of a person, and whether to believe it: no input or output here."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from checks.errors import HarvestMonitorError
from monitor.web.auth.secret import RandomBytes

_SIGNATURES = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
"""With the provider's key only: not `none`, and nothing that our own client secret could sign."""
_CLOCKS_DIFFER = 60
_LONGEST_NAME = 200


class ProviderUnavailable(HarvestMonitorError):
    """The provider cannot be reached, or does not answer as one; trying again may help."""


class ProviderRefused(HarvestMonitorError):
    """This sign-in is not valid: it must begin anew."""


@dataclass(frozen=True, slots=True)
class OidcClient:
    """What the provider knows of us, and we of it."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str
    roles_claim: str
    redirect_uri: str
    ca_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that has begun: kept in the browser's cookie until the provider sends it back. `to` is where next."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    to: str

    @classmethod
    def new(cls, to: str, random: RandomBytes) -> "Attempt":
        state, nonce, verifier = (urlsafe_b64encode(random(32)).rstrip(b"=").decode() for _ in range(3))
        return cls(state, nonce, verifier, to)

    @classmethod
    def read(cls, cookie: str) -> "Attempt | None":
        parts = cookie.split(".", 3)
        if len(parts) != 4 or not all(parts):
            return None
        state, nonce, verifier, to = parts
        return cls(state, nonce, verifier, unquote(to))

    def written(self) -> str:
        return ".".join((self.state, self.nonce, self.verifier, quote(self.to, safe="")))


@dataclass(frozen=True, slots=True)
class OidcPerson:
    """`name` stands in lists and the audit log; `names` are compared with the operator's lists."""

    name: str
    names: tuple[str, ...]


def proven_claims(
    client: OidcClient, tokens: Mapping[str, Any], keys: Mapping[str, Any], attempt: Attempt, now: datetime
) -> dict[str, Any]:
    """The claims of the ID token: signed by the provider, for us, for this attempt, now. Otherwise ProviderRefused."""
    try:
        token = jwt.decode(str(tokens["id_token"]), _key_set(keys), algorithms=_SIGNATURES)
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={"iss": {"value": client.issuer}, "aud": {"value": client.client_id}},
            params={"nonce": attempt.nonce, "client_id": client.client_id, "access_token": tokens.get("access_token")},
        )
        claims.validate(now=int(now.timestamp()), leeway=_CLOCKS_DIFFER)
    except (JoseError, KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ProviderRefused(f"the provider's ID token is not valid ({type(problem).__name__})") from None
    return dict(claims)


def _key_set(keys: Mapping[str, Any]) -> jwk.KeySet:
    """The keys that sign; one of a kind that we do not know spoils only itself."""
    known: list[jwk.Key] = []
    for key in keys["keys"]:
        with suppress(JoseError, KeyError, TypeError, ValueError):
            if key.get("use", "sig") == "sig":
                known.append(jwk.import_key(key))
    return jwk.KeySet(known)


def completed_claims(claims: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """With what only the userinfo endpoint tells. An address comes with the word of the same source for it."""
    if told.get("sub") != claims["sub"]:
        raise ProviderRefused("the provider's userinfo is about somebody else")
    if "email" in claims:
        return {**told, **claims}
    return {**told, **claims, "email_verified": told.get("email_verified")}


def person_of(claims: Mapping[str, Any], roles_claim: str) -> OidcPerson:
    """An address counts only if the provider verified it: elsewhere people write what they like."""
    subject = str(claims["sub"])
    email = str(claims.get("email") or "") if claims.get("email_verified") in (True, "true") else ""
    called = str(claims.get("preferred_username") or "")
    name = email or (f"{called} ({subject})" if called else subject)
    printable = "".join(letter for letter in name if letter.isprintable())[:_LONGEST_NAME]
    return OidcPerson(printable, tuple(filter(None, (subject, email, *_groups(claims.get(roles_claim))))))


def _groups(claim: object) -> list[str]:
    if isinstance(claim, str):
        return [claim]
    return [str(group) for group in claim] if isinstance(claim, list) else []
