"""The sandbox's mail server: it takes every mail, passes none on, and fails as it is told to.

Its faults are asked for at each step of a delivery, so a switch holds from the next step on, also of a delivery under
way.
"""

import asyncio
import ssl
from asyncio import BaseTransport, Transport
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast
from weakref import WeakSet

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, Session

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.mail.mailbox import Mailbox

_LOOKS_EVERY = 0.1  # seconds; how long it takes to follow when the port is to be closed or opened
_CLOSING = "421"
NAME = "harvest-monitor-sandbox"


@asynccontextmanager
async def delivering(office: Mailbox, host: str, port: int, certificate: Path | None = None) -> AsyncIterator[str]:
    """Take mails for as long as the context lasts; gives the address, such as `127.0.0.1:8766`.

    Port 0 takes a free one. STARTTLS is offered with a certificate, a PEM file that holds its key as well.
    ConfigurationError if it does not, or if the address can not be listened on.
    """
    door = _Door(office, host, port, None if certificate is None else _tls(certificate))
    try:
        await door.open()
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(f"can not take mails on {host} port {port} ({problem}): choose another") from None
    keeper = asyncio.create_task(door.keep())
    try:
        office.address = f"{host}:{door.port}"
        yield office.address
    finally:
        office.address = None
        keeper.cancel()
        door.close()
        await door.hang_up()


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate)
    except OSError as problem:
        raise ConfigurationError(f"{certificate} is no PEM file with a certificate and its key: {problem}") from None
    return context


class _Door:
    """The port; closed while nobody is to listen on it."""

    def __init__(self, office: Mailbox, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._office = office
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._inside: WeakSet[SMTP | _Rebuff] = WeakSet()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._answer, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def hang_up(self) -> None:
        while there := [client.transport for client in self._inside if client.transport is not None]:
            for transport in there:
                cast(Transport, transport).abort()
            await asyncio.sleep(0)

    async def keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOKS_EVERY)
            if self._office.faults.stands(MailFaultKind.REFUSED):
                self.close()
            elif self._server is None:
                with suppress(OSError):  # somebody else took the port meanwhile: the next look tries again
                    await self.open()

    def _answer(self) -> asyncio.BaseProtocol:
        client = self._receive()
        self._inside.add(client)
        return client

    def _receive(self) -> "SMTP | _Rebuff":
        fault = self._office.faults.take(MailStep.CONNECT)
        if fault is not None:
            return _Rebuff(fault)
        without_tls = self._office.faults.stands(MailFaultKind.NO_STARTTLS)
        return SMTP(
            _Counter(self._office),
            hostname=NAME,
            ident="takes every mail and passes none on",
            tls_context=None if without_tls else self._tls,
            authenticator=_let_in,
            auth_require_tls=False,
        )


class _Rebuff(asyncio.Protocol):
    """Meets a client at the door with a fault."""

    def __init__(self, fault: MailFault) -> None:
        self.transport: BaseTransport | None = None
        self._fault = fault

    def connection_made(self, transport: BaseTransport) -> None:
        self.transport = transport
        if self._fault.kind is MailFaultKind.ANSWER:
            cast(Transport, transport).write(f"{self._fault.text}\r\n".encode("ascii"))
        if self._fault.kind is not MailFaultKind.SILENT:
            transport.close()

    def connection_lost(self, problem: Exception | None) -> None:
        self.transport = None


def _let_in(*_: Any) -> AuthResult:
    """Every login is right, and none is kept."""
    return AuthResult(success=True)


class _Counter:
    """Serves one client, step by step; the names of its methods are aiosmtpd's."""

    def __init__(self, office: Mailbox) -> None:
        self._office = office

    async def handle_AUTH(self, server: SMTP, session: Session, envelope: Envelope, words: list[str]) -> Any:
        return await self._instead(MailStep.LOGIN, server) or MISSING

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._instead(MailStep.MAIL, server) or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = await self._instead(MailStep.RCPT, server, [address])
        if fault is None:
            envelope.rcpt_tos.append(address)
        return fault or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipients = envelope.rcpt_tos
        if fault := await self._instead(MailStep.DATA, server, recipients):
            return fault
        assert isinstance(envelope.original_content, bytes)
        encrypted = session.ssl is not None
        self._office.take(envelope.mail_from or "", recipients, encrypted=encrypted, raw=envelope.original_content)
        return await self._instead(MailStep.TAKEN, server, recipients) or "250 OK: taken, and passed on to nobody"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return await self._instead(MailStep.QUIT, server) or "221 Bye"

    async def _instead(self, step: MailStep, server: SMTP, recipients: Sequence[str] = ()) -> str | None:
        """What a fault answers in place of yes; None if it lets the step go on."""
        fault = self._office.faults.take(step, recipients)
        if fault is None:
            return None
        transport = cast(Transport, server.transport)
        match fault.kind:
            case MailFaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
            case MailFaultKind.SILENT:
                await asyncio.Event().wait()
            case MailFaultKind.HANG_UP:
                transport.abort()
                await asyncio.Event().wait()
            case MailFaultKind.ANSWER:
                if fault.text.startswith(_CLOSING):
                    asyncio.get_running_loop().call_soon(transport.close)
                return fault.text
        return None
