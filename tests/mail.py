"""A real SMTP server on loopback that accepts emails, or misbehaves as the test sets it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

CERTIFICATES = Path(__file__).parent / "fixtures" / "notices"
AUTHORITY = CERTIFICATES / "localhost.pem"  # self-signed, for localhost and 127.0.0.1
PASSWORD = "s3cret-p%ss@word:/"


@dataclass
class Sink:
    """What a server was asked and accepted, and what it does at a step (MAIL, RCPT, DATA, QUIT) instead of accepting.

    `refused` has answers by recipient. At the step `drop_at` the server disconnects, at `hang_at` it does not answer.
    The step `TAKEN` comes right after it accepted an email. With `only`, emails to other recipients are accepted. `raw`
    has answers by recipient that are written as they are.
    """

    answers: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    drop_at: str = ""
    hang_at: str = ""
    seconds: float = 0
    taken: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    only: str = ""
    raw: dict[str, bytes] = field(default_factory=dict)

    async def handle_MAIL(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        envelope.mail_from = address
        return await self._answer("MAIL", server, "")

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        self.asked.append(address)
        if address in self.raw:
            server.transport.write(self.raw[address] + b"\r\n")
            await asyncio.Event().wait()  # until the client, which has its answer, hangs up
        answer = self.refused.get(address) or await self._answer("RCPT", server, address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        reader = envelope.rcpt_tos[0]
        answer = await self._answer("DATA", server, reader)
        await asyncio.sleep(self.seconds)
        if answer.startswith("250"):
            assert isinstance(envelope.original_content, bytes)
            self.taken.append(envelope.original_content)
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
            return await self._answer("TAKEN", server, reader)
        return answer

    async def handle_QUIT(self, server: Server, session: Session, envelope: Envelope) -> str:
        return await self._answer("QUIT", server, "", yes="221 Bye")

    def authenticate(
        self, server: Server, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given == LoginPassword(b"monitor", PASSWORD.encode()), handled=False)

    async def _answer(self, step: str, server: Server, reader: str, yes: str = "250 OK") -> str:
        if self.only and self.only != reader:
            return yes
        if self.drop_at == step:
            server.transport.abort()
        if self.hang_at == step:
            await asyncio.Event().wait()
        return self.answers.get(step, yes)

    @property
    def readers(self) -> list[str]:
        """The recipients, email by email."""
        return [reader for _, readers in self.envelopes for reader in readers]

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(raw, policy=policy.default) for raw in self.taken]  # type: ignore[misc]

    def message(self) -> EmailMessage:
        (message,) = self.messages
        return message


def server_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(AUTHORITY, CERTIFICATES / "localhost.key")
    return context


def plain(sink: Sink) -> Callable[[], Server]:
    return lambda: Server(sink, hostname="sink", enable_SMTPUTF8=False)


def starttls(sink: Sink) -> Callable[[], Server]:
    return lambda: Server(
        sink,
        hostname="sink",
        tls_context=server_tls(),
        require_starttls=True,
        auth_required=True,
        authenticator=sink.authenticate,
    )


@asynccontextmanager
async def listening(
    protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[int]:
    """Clients still connected at the end are disconnected."""
    made: list[asyncio.BaseProtocol] = []

    def connected() -> asyncio.BaseProtocol:
        made.append(protocol())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for transport in {getattr(each, "transport", None) for each in made} - {None}:
            transport.abort()
        await asyncio.sleep(0)
