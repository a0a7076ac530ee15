"""The v3 clients of the imitated Greenhouse's customers, and the access tokens that were issued to them."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from monitor.sandbox.greenhouse.rate_limit import TOKEN_SECONDS, RateLimitWindow
from monitor.sandbox.greenhouse.scopes import ticked

if TYPE_CHECKING:
    from monitor.sandbox.greenhouse.accounts import Account

Grant = Literal["custom", "partner"]
SITE_ADMIN = "Site Admin"  # how introspection spells it is not on record
_DEAD_KEPT = 50


@dataclass(eq=False, slots=True)
class IssuedToken:
    """An access token: for whom it acts, and the scopes that its client had when it was issued."""

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

        A scope that is taken from the client is gone at once, one that is added comes with the next token
        (harvestdocs.greenhouse.io/docs/handling-scope-changes, for partners; assumed for customers' own clients).
        """
        return self.issued_with & self.client.scopes

    @property
    def role(self) -> str | None:
        """The role of the user it acts for; None for a service user, which sees everything."""
        return None if self.sub == self.client.service_user else self.client.role or SITE_ADMIN

    @property
    def is_site_admin(self) -> bool:
        return self.role is None or self.role.replace("_", " ").lower() == SITE_ADMIN.lower()


class Tokens:
    """Every token there is, by its text."""

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
        text = _text(client, sub, issued_at, expires_at, self._count)
        token = self._tokens[text] = IssuedToken(client, text, sub, client.scopes, expires_at)
        return token

    def forget(self, token: IssuedToken) -> None:
        self._tokens.pop(token.text, None)


@dataclass(eq=False, slots=True)
class Client:
    """One client: what is ticked for it, and whether it lives. Changes hold from the next request on.

    `scopes` can be set to anything, also to scopes that Harvest does not have. `sub` is the user it acts for if a token
    request names none; without one, it is a service user of its own. `role` is that user's.
    """

    account: "Account"
    label: str
    client_id: str
    secret: str
    scopes: frozenset[str]
    service_user: str
    tokens: Tokens
    grant: Grant = "custom"
    role: str | None = None
    sub: str | None = None
    ttl: int = 3600
    mint_revokes: bool = False
    dead: bool = False
    token_window: RateLimitWindow = field(default_factory=lambda: RateLimitWindow(TOKEN_SECONDS))
    _old_secrets: set[str] = field(default_factory=set)
    _issued: list[IssuedToken] = field(default_factory=list)

    def grant_scope(self, *names: str) -> None:
        """Tick scopes, e.g. `harvest:jobs:list`."""
        self.scopes |= ticked(names)

    def revoke_scope(self, *names: str) -> None:
        """Untick scopes."""
        self.scopes -= ticked(names)

    def grant_only(self, words: str | Iterable[str]) -> None:
        """Tick exactly these: `all`, `none`, `gem`, `gem+eeoc` or a list of scopes."""
        self.scopes = ticked(words)

    def kill(self) -> None:
        """Disable it: it gets no token, and those it has open nothing."""
        self.dead = True

    def enable(self) -> None:
        self.dead = False

    def rotate_secret(self) -> str:
        """Give it a new secret; the old ones go on working until `drop_old_secrets` (up to a week, as documented)."""
        self._old_secrets.add(self.secret)
        self.secret = self.account.new_secret()
        return self.secret

    def drop_old_secrets(self) -> None:
        self._old_secrets.clear()

    def opens_with(self, secret: str) -> bool:
        return secret == self.secret or secret in self._old_secrets

    def issue(self, now: float | None = None, *, sub: str | None = None) -> str:
        """The text of a new access token, as whoever holds the client's tokens would have it."""
        return self.new_token(now, sub).text

    def new_token(self, now: float | None = None, sub: str | None = None) -> IssuedToken:
        if self.mint_revokes:
            self.revoke_tokens()
        token = self.tokens.add(self, sub or self._acting_user(), now)
        self._issued.append(token)
        self._forget_the_dead(token.expires_at - self.ttl)
        return token

    def revoke_tokens(self) -> None:
        """Kill the tokens that it has."""
        for token in self._issued:
            token.revoked = True

    def _acting_user(self) -> str:
        return self.sub or (self.service_user if self.role is None else f"{self.service_user}1")

    def _forget_the_dead(self, now: float) -> None:
        if len(self._issued) <= _DEAD_KEPT:
            return
        dead = [token for token in self._issued if token.revoked or now >= token.expires_at]
        for token in dead:
            self.tokens.forget(token)
        self._issued = [token for token in self._issued if token not in dead]


def _text(client: Client, sub: str, issued_at: int, expires_at: int, number: int) -> str:
    """Shaped as a JWT with the claims that Greenhouse's have (`silo` as in its published example); nobody signed it."""
    claims = {"sub": sub, "iat": issued_at, "exp": expires_at, "silo": "sandbox"}
    head, body = (_part(json.dumps(each).encode()) for each in ({"alg": "RS256", "typ": "JWT"}, claims))
    seal = hashlib.shake_256(f"{client.client_id} {number}".encode()).digest(256)
    return f"{head}.{body}.{_part(seal)}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
