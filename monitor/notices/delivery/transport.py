"""The ways a mail leaves: to a mail server, or into a folder."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientRefused, SMTPResponseException, SMTPTimeoutError

from monitor.config.addresses import Encryption, MailFolder, MailServer
from monitor.errors import DeliveryError, FailureScope
from monitor.notices.content.messages import clean

LONGEST = timedelta(minutes=9)
"""No `send` takes longer, whatever the time-out, and however slowly a server answers."""

# The two parts of a conversation, to the sender's name and from the reader's: each so many slow answers long at most.
_OPENING, _LONGEST_OPENING = 4, 150.0
_HANDING_OVER, _LONGEST_HANDING_OVER = 10, 360.0
# A server that filters a mail before it says yes must not be left too early: it keeps the mail, and gets it again.
_YES = 8
_FAREWELL_SECONDS = 3
_LONGEST_REASON = 300


class Transport(Protocol):
    @property
    def longest(self) -> timedelta:
        """No `send` of this transport takes longer."""

    async def send(self, message: EmailMessage) -> None:
        """Hand the mail over for good; DeliveryError if it was not taken. It ends within `longest`."""


def transport_for(target: MailServer | MailFolder, timeout: timedelta, ca_bundle: Path | None = None) -> Transport:
    """`timeout` is the longest wait for the server's next answer; `ca_bundle` holds more authorities to trust."""
    if isinstance(target, MailFolder):
        return FolderTransport(target.path)
    return SmtpTransport(target, timeout, ca_bundle)


class SmtpTransport:
    """One connection for each mail. Unless the address says otherwise it is encrypted, and the certificate verified."""

    def __init__(self, server: MailServer, timeout: timedelta, ca_bundle: Path | None = None) -> None:
        self._server = server
        self._timeout = timeout.total_seconds()
        self._ca_bundle = ca_bundle

    @property
    def longest(self) -> timedelta:
        parts = self._limit(_OPENING, _LONGEST_OPENING), self._limit(_HANDING_OVER, _LONGEST_HANDING_OVER)
        return timedelta(seconds=sum(parts) + _FAREWELL_SECONDS)

    async def send(self, message: EmailMessage) -> None:
        client = self._client()
        try:
            async with self._part(_OPENING, _LONGEST_OPENING, _blame_of_every_mail):
                await client.connect()
                await client.mail(message["From"].addresses[0].addr_spec)
            async with self._part(_HANDING_OVER, _LONGEST_HANDING_OVER, _blame_of_this_mail):
                await client.rcpt(message["To"].addresses[0].addr_spec)
                await client.data(message.as_bytes(), timeout=_YES * self._timeout)
            # The mail is the server's by now: how the farewell ends does not change that.
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_FAREWELL_SECONDS)
        finally:
            _hang_up(client)

    def _client(self) -> SMTP:
        encryption = self._server.encryption
        return SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.username,
            password=self._server.password,
            timeout=self._timeout,
            use_tls=encryption is Encryption.TLS,
            start_tls=encryption is Encryption.STARTTLS,
            cert_bundle=str(self._ca_bundle) if self._ca_bundle else None,
        )

    @asynccontextmanager
    async def _part(
        self, answers: int, longest: float, blame_of: Callable[[Exception], FailureScope]
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limit(answers, longest)):
                yield
        except (SMTPException, OSError, ValueError) as problem:
            raise self._error(problem, blame_of(problem)) from problem

    def _limit(self, answers: int, longest: float) -> float:
        return min(answers * self._timeout, longest)

    def _error(self, problem: Exception, blame: FailureScope) -> DeliveryError:
        answer = problem if isinstance(problem, SMTPResponseException) else None
        said = f"{answer.code} {answer.message}" if answer else _described(problem)
        where = f"{self._server.host}:{self._server.port}"
        permanent = blame in (FailureScope.ADDRESS, FailureScope.MAIL) and answer is not None and answer.code >= 500
        return DeliveryError(clean(f"{where}: {said}")[:_LONGEST_REASON], blame, permanent=permanent)


def _blame_of_every_mail(_: Exception) -> FailureScope:
    return FailureScope.SERVER


def _blame_of_this_mail(problem: Exception) -> FailureScope:
    """421 is a farewell, and may be meant for this mail or for everybody, as may silence and a lost connection."""
    if isinstance(problem, SMTPResponseException) and 400 <= problem.code < 600 and problem.code != 421:
        if isinstance(problem, SMTPRecipientRefused):
            return FailureScope.ADDRESS
        if isinstance(problem, SMTPDataError):
            return FailureScope.MAIL
    return FailureScope.UNCLEAR


def _described(problem: Exception) -> str:
    if isinstance(problem, SMTPTimeoutError | TimeoutError):
        return f"no answer in time ({problem})" if str(problem) else "no end in time"
    return str(problem) or type(problem).__name__


def _hang_up(client: SMTP) -> None:
    """At once: a plain close waits for as long as the other side does not read."""
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()


class FolderTransport:
    """A folder that holds each mail as NAME.eml and NAME.html; sent again, it replaces itself."""

    longest = timedelta(seconds=10)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as problem:
            raise DeliveryError(f"mailbox {self._folder}: {problem.strerror}", FailureScope.SERVER) from problem

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        html = message.get_body(("html",))
        name = _file_name(message)
        if html is not None:
            self._replace(f"{name}.html", html.get_content().encode())
        self._replace(f"{name}.eml", message.as_bytes())

    def _replace(self, name: str, content: bytes) -> None:
        """A reader of the folder sees the whole file or none."""
        unfinished = self._folder / f".{name}.{os.getpid()}"
        unfinished.write_bytes(content)
        unfinished.replace(self._folder / name)


def _file_name(message: EmailMessage) -> str:
    """The subject's letters and the beginning of the Message-ID: readable, and the same on every attempt."""
    readable = re.sub(r"[^a-z0-9]+", "-", message["Subject"].lower()).strip("-")[:60].strip("-")
    return f"{readable or 'notice'}-{message['Message-ID'].lstrip('<')[:8]}"
