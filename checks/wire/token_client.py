"""How Harvest v3 and its auth server are reached with a token or a client."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.credential import OAuthClient, Token
from checks.origin import OutgoingRequest
from checks.v3.gate import TokenGate
from checks.v3.list_answers import reduce_listed
from checks.v3.token_answers import AuthAnswer, AuthKind, introspected, minted
from checks.wire.connection import Connection, ConnectionSettings, Connector, Received
from checks.wire.rate_limit import TOKEN_WINDOW_SECONDS, RateLimit, rate_limit, v3_rate_limit


class TokenClient:
    """Each check of a credential has a session of its own."""

    def __init__(self, gate: TokenGate, settings: ConnectionSettings, now: Callable[[], datetime]) -> None:
        self._connector = Connector(gate.in_clear, settings)
        self._gate = gate
        self._now = now

    @asynccontextmanager
    async def session(self) -> AsyncIterator["TokenSession"]:
        async with self._connector.open() as connection:
            yield TokenSession(self._gate, connection, self._now)


@dataclass(frozen=True, slots=True)
class TokenSession:
    """As `KeySession`: one request each, past the gate, sent at most once; GateRefusal if it may not be sent."""

    gate: TokenGate
    connection: Connection
    now: Callable[[], datetime]

    async def list(self, entry: Entry, token: Token) -> tuple[Answer, RateLimit]:
        got = await self._send(self.gate.listing(entry, token))
        limit = v3_rate_limit(got.headers, self.now())
        if got.failure is not None or got.status is None:
            return Answer(got.failure or AnswerKind.NO_CONNECTION, got.status, failure=got.cause), limit
        return reduce_listed(got.status, got.headers, got.body, complete=got.complete), limit

    async def introspect(self, client: OAuthClient, token: Token) -> tuple[AuthAnswer, RateLimit]:
        got = await self._send(self.gate.introspection(client, token))
        limit = rate_limit(got.headers, self.now(), TOKEN_WINDOW_SECONDS)
        return _auth_failure(got) or introspected(got.status or 0, got.headers, got.body, complete=got.complete), limit

    async def mint(self, client: OAuthClient) -> tuple[AuthAnswer, RateLimit]:
        got = await self._send(self.gate.minting(client))
        limit = rate_limit(got.headers, self.now(), TOKEN_WINDOW_SECONDS)
        return _auth_failure(got) or minted(got.status or 0, got.headers, got.body, complete=got.complete), limit

    async def _send(self, made: OutgoingRequest) -> Received:
        return await self.connection.send(made, self.gate.check)


def _auth_failure(got: Received) -> AuthAnswer | None:
    if got.failure is None:
        return None
    kind = AuthKind.TIMEOUT if got.failure is AnswerKind.TIMEOUT else AuthKind.NO_CONNECTION
    return AuthAnswer(kind, got.status, failure=got.cause)
