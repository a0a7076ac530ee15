"""The sandbox's mail server: it accepts every mail, passes none on, and fails on demand.

It looks up the active faults at each step of a delivery, so a switch takes effect with the next step, even in the
middle of a delivery.
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

from monitor.errors import ConfigurationError, system_words
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.mail.mailbox import Mailbox

_POLL_SECONDS = 0.1  # how long it takes to close or open the port after a switch
_CLOSING = "421"
NAME = "harvest-monitor-sandbox"


@asynccontextmanager
async def delivering(mailbox: Mailbox, host: str, port: int, certificate: Path | None = None) -> AsyncIterator[str]:
    """Accept mails for as long as the context lasts; gives the address, such as `127.0.0.1:8766`.

    Port 0 picks a free one. STARTTLS is offered with a certificate, a PEM file that also holds its key.
    ConfigurationError if the file does not, or if the address cannot be listened on.
    """
    listener = _Listener(mailbox, host, port, None if certificate is None else _tls(certificate))
    try:
        await listener.open()
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(
            f"cannot accept mails on {host} port {port} ({system_words(problem)}): choose another"
        ) from None
    watcher = asyncio.create_task(listener.follow_faults())
    try:
        mailbox.address = f"{host}:{listener.port}"
        yield mailbox.address
    finally:
        mailbox.address = None
        watcher.cancel()
        listener.close()
        await listener.hang_up()


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate)
    except OSError as problem:
        raise ConfigurationError(f"{certificate} is not a PEM file with a certificate and its key: {problem}") from None
    return context


class _Listener:
    """The port; closed while the fault `refused` is active."""

    def __init__(self, mailbox: Mailbox, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._mailbox = mailbox
        self._host = host
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._clients: WeakSet[SMTP | _FaultyGreeting] = WeakSet()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_client, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def hang_up(self) -> None:
        # abort() takes effect in a later turn of the loop; until then the transport is still set.
        while open_ones := [client.transport for client in self._clients if client.transport is not None]:
            for transport in open_ones:
                cast(Transport, transport).abort()
            await asyncio.sleep(0)

    async def follow_faults(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._mailbox.faults.includes(MailFaultKind.REFUSED):
                self.close()
            elif self._server is None:
                with suppress(OSError):  # another program took the port meanwhile: retry at the next poll
                    await self.open()

    def _new_client(self) -> asyncio.BaseProtocol:
        client = self._protocol()
        self._clients.add(client)
        return client

    def _protocol(self) -> "SMTP | _FaultyGreeting":
        fault = self._mailbox.faults.take(MailStep.CONNECT)
        if fault is not None:
            return _FaultyGreeting(fault)
        without_tls = self._mailbox.faults.includes(MailFaultKind.NO_STARTTLS)
        return SMTP(
            _Handler(self._mailbox),
            hostname=NAME,
            ident="takes every mail and passes none on",
            tls_context=None if without_tls else self._tls,
            authenticator=_accept_login,
            # By default aiosmtpd refuses a login without TLS, which is offered only with a certificate.
            auth_require_tls=False,
        )


class _FaultyGreeting(asyncio.Protocol):
    """Answers a new connection with a fault."""

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


def _accept_login(*_: Any) -> AuthResult:
    """Every user and password is accepted, and neither is kept."""
    return AuthResult(success=True)


class _Handler:
    """Serves one client, step by step; its methods have the names that aiosmtpd calls."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_AUTH(self, server: SMTP, session: Session, envelope: Envelope, words: list[str]) -> Any:
        return await self._fault_answer(MailStep.LOGIN, server) or MISSING

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._fault_answer(MailStep.MAIL, server) or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = await self._fault_answer(MailStep.RCPT, server, [address])
        if fault is None:
            envelope.rcpt_tos.append(address)
        return fault or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipients = envelope.rcpt_tos
        if fault := await self._fault_answer(MailStep.DATA, server, recipients):
            return fault
        assert isinstance(envelope.original_content, bytes)
        encrypted = session.ssl is not None
        self._mailbox.accept(envelope.mail_from or "", recipients, encrypted=encrypted, raw=envelope.original_content)
        fault = await self._fault_answer(MailStep.TAKEN, server, recipients)
        return fault or "250 OK: taken, and passed on to nobody"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        return await self._fault_answer(MailStep.QUIT, server) or "221 Bye"

    async def _fault_answer(self, step: MailStep, server: SMTP, recipients: Sequence[str] = ()) -> str | None:
        """What a fault answers at this step; None if the step continues as normal."""
        fault = self._mailbox.faults.take(step, recipients)
        if fault is None:
            return None
        transport = cast(Transport, server.transport)
        # The waits without end are cancelled by aiosmtpd when the connection is lost.
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
                    # Later, since aiosmtpd writes the answer after this method returns.
                    asyncio.get_running_loop().call_soon(transport.close)
                return fault.text
        return None
