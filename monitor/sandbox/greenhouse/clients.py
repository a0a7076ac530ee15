"""The v3 clients of the imitated Greenhouse's customers, and the access tokens issued to them."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from monitor.sandbox.greenhouse.accounts import ClientGrant
from monitor.sandbox.greenhouse.credentials import SandboxCredential, require_sendable
from monitor.sandbox.greenhouse.rate_limit import TOKEN_SECONDS, RateLimitWindow
from monitor.sandbox.greenhouse.scopes import scope_names

SITE_ADMIN = "Site Admin"  # how introspection spells it is not documented
_DEAD_TOKENS_KEPT = 50  # before they are forgotten; a service that mints gets a token for each check


@dataclass(eq=False, slots=True)
class IssuedToken:
    """An access token: the user it acts for, and the scopes that its client had when it was issued."""

    client: "Client"
    text: str
    sub: str
    issued_with: frozenset[str]
    expires_at: int
    revoked: bool = False

    def lives(self, now: float) -> bool:
        return not self.revoked and not self.client.dead and now < self.expires_at

    @property
    def scopes(self) -> frozenset[str]:
        """What it may do now.

        A scope that the client loses is gone at once; one that it gains comes with the next token
        (harvestdocs.greenhouse.io/docs/handling-scope-changes, for partners; assumed for customers' own clients).
        """
        return self.issued_with & self.client.ticked

    @property
    def role(self) -> str | None:
        """The role of the user it acts for; None for a service user, which sees everything."""
        return None if self.sub == self.client.service_user else self.client.role or SITE_ADMIN

    @property
    def is_site_admin(self) -> bool:
        return self.role is None or self.role.replace("_", " ").lower() == SITE_ADMIN.lower()


class Tokens:
    """All tokens, by their text."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens: dict[str, IssuedToken] = {}
        self._count = 0

    def find(self, text: str) -> IssuedToken | None:
        return self._tokens.get(text)

    def add(self, client: "Client", sub: str, now: float | None) -> IssuedToken:
        issued_at = int(self._clock() if now is None else now)
        expires_at = issued_at + client.ttl
        self._count += 1
        text = _jwt(client, sub, issued_at, expires_at, self._count)
        token = self._tokens[text] = IssuedToken(client, text, sub, client.ticked, expires_at)
        return token

    def forget(self, token: IssuedToken) -> None:
        self._tokens.pop(token.text, None)


@dataclass(eq=False, kw_only=True)
class Client(SandboxCredential):
    """One client; scopes are ticked for it.

    `sub` is the user it acts for if a token request names none; without one, it acts for its own service user. `role`
    is that user's role.
    """

    noun: ClassVar[str] = "client"
    identity_noun: ClassVar[str] = "id of the client"

    client_id: str
    secret: str
    service_user: str
    tokens: Tokens
    grant: ClientGrant = "custom"
    role: str | None = None
    sub: str | None = None
    ttl: int = 3600
    mint_revokes: bool = False
    token_window: RateLimitWindow = field(default_factory=lambda: RateLimitWindow(TOKEN_SECONDS))
    _old_secrets: set[str] = field(default_factory=set)
    _issued: list[IssuedToken] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_sendable(self, self.client_id, "id of the client")
        require_sendable(self, self.secret, "secret of the client")

    @property
    def identity(self) -> str:
        return self.client_id

    @staticmethod
    def expand(words: str | Iterable[str]) -> frozenset[str]:
        return scope_names(words)

    def rotate_secret(self) -> str:
        """Give it a new secret; old ones keep working until `drop_old_secrets` (up to a week, as documented)."""
        self._old_secrets.add(self.secret)
        self.secret = self.account.new_secret()
        return self.secret

    def drop_old_secrets(self) -> None:
        self._old_secrets.clear()

    def accepts(self, secret: str) -> bool:
        return secret == self.secret or secret in self._old_secrets

    def issue(self, now: float | None = None, *, sub: str | None = None) -> str:
        """The text of a new access token."""
        return self.new_token(now, sub).text

    def new_token(self, now: float | None = None, sub: str | None = None) -> IssuedToken:
        if self.mint_revokes:
            self.revoke_tokens()
        token = self.tokens.add(self, sub or self._acting_user(), now)
        self._issued.append(token)
        self._forget_dead_tokens(token.expires_at - self.ttl)
        return token

    def revoke_tokens(self) -> None:
        """Revoke all tokens issued to it."""
        for token in self._issued:
            token.revoked = True

    def _acting_user(self) -> str:
        return self.sub or (self.service_user if self.role is None else f"{self.service_user}1")

    def _forget_dead_tokens(self, now: float) -> None:
        if len(self._issued) <= _DEAD_TOKENS_KEPT:
            return
        dead = [token for token in self._issued if token.revoked or now >= token.expires_at]
        for token in dead:
            self.tokens.forget(token)
        self._issued = [token for token in self._issued if token not in dead]


def _jwt(client: Client, sub: str, issued_at: int, expires_at: int, number: int) -> str:
    """Shaped as a JWT with the claims that Greenhouse's have (`silo` as in its published example), but not signed."""
    claims = {"sub": sub, "iat": issued_at, "exp": expires_at, "silo": "sandbox"}
    header, payload = (_part(json.dumps(each).encode()) for each in ({"alg": "RS256", "typ": "JWT"}, claims))
    # The number keeps two tokens of one second apart; 256 bytes are an RS256 signature with a key of 2048 bits.
    signature = hashlib.shake_256(f"{client.client_id} {number}".encode()).digest(256)
    return f"{header}.{payload}.{_part(signature)}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
