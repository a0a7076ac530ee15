"""How Harvest v1/v2 is reached with a key."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry, WriteProbes
from checks.credential import Secret, basic_authorization
from checks.origin import OutgoingRequest
from checks.v1.gate import Gate
from checks.v1.key_answers import reduce
from checks.wire.connection import Connection, ConnectionSettings, Connector
from checks.wire.rate_limit import V1_WINDOW_SECONDS, RateLimit, rate_limit


class KeyClient:
    """Each check of a key has a session of its own."""

    def __init__(self, gate: Gate, settings: ConnectionSettings, now: Callable[[], datetime]) -> None:
        self._connector = Connector(gate.in_clear, settings)
        self._gate = gate
        self._now = now

    @asynccontextmanager
    async def session(self) -> AsyncIterator["KeySession"]:
        async with self._connector.open() as connection:
            yield KeySession(self._gate, connection, self._now)


@dataclass(frozen=True, slots=True)
class KeySession:
    """One request after the other, each past the gate and sent at most once."""

    gate: Gate
    connection: Connection
    now: Callable[[], datetime]

    async def send(self, entry: Entry, secret: Secret | None, permitted: WriteProbes) -> tuple[Answer, RateLimit]:
        """GateRefusal if the request may not be sent; anything else that happens is an answer."""
        authorization = None if secret is None else basic_authorization(secret)
        headers = list(self.gate.headers_for(entry, authorization).items())
        made = OutgoingRequest(entry.method, self.gate.url_of(entry), headers, entry.body)
        got = await self.connection.send(made, partial(self.gate.check, permitted=permitted))
        limit = rate_limit(got.headers, self.now(), V1_WINDOW_SECONDS)
        if got.failure is not None or got.status is None:
            return Answer(got.failure or AnswerKind.NO_CONNECTION, got.status, failure=got.cause), limit
        return reduce(entry, got.status, got.headers, got.body, complete=got.complete), limit
