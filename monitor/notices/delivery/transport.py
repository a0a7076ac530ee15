"""The ways to send an email: to a mail server, or into a folder."""

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
from monitor.notices.delivery.mail_refusal import MailRefusal, SmtpStep, judged
from monitor.notices.wording import clean

LONGEST_SEND = timedelta(minutes=9)
"""No `send` takes longer, whatever the timeout, and however slowly a server answers."""

# The two parts of an SMTP conversation: up to the sender's name, and from the recipient's on. The limit of each is so
# many times the timeout, and at most so many seconds.
# With _QUIT_SECONDS the two limits make 513 seconds: they must stay below LONGEST_SEND.
_OPENING, _LONGEST_OPENING = 4, 150.0
_HANDING_OVER, _LONGEST_HANDING_OVER = 10, 360.0
# A server that filters an email before it accepts it needs longer: RFC 5321, 4.5.3.2.6, asks for ten minutes. Who hangs
# up too early sends it a second time.
_ACCEPTANCE = 8
_QUIT_SECONDS = 3
_LONGEST_REASON = 300


class Transport(Protocol):
    @property
    def longest(self) -> timedelta:
        """No `send` of this transport takes longer."""

    async def send(self, email: EmailMessage) -> None:
        """Returns once the email is accepted for good; DeliveryError if it is not. Takes no longer than `longest`."""


def transport_for(
    target: MailServer | MailFolder, timeout: timedelta, ehlo_name: str, ca_bundle: Path | None = None
) -> Transport:
    """`timeout` is the longest wait for the server's next answer, `ehlo_name` what we call ourselves.

    `ca_bundle` adds certificate authorities to trust.
    """
    if isinstance(target, MailFolder):
        return FolderTransport(target.path)
    return SmtpTransport(target, timeout, ehlo_name, ca_bundle)


class SmtpTransport:
    """One connection for each email: encrypted, with a verified certificate, unless the server's URL says otherwise."""

    def __init__(self, server: MailServer, timeout: timedelta, ehlo_name: str, ca_bundle: Path | None = None) -> None:
        self._server = server
        self._timeout = timeout.total_seconds()
        self._ehlo_name = ehlo_name
        self._ca_bundle = ca_bundle

    @property
    def longest(self) -> timedelta:
        parts = self._limit(_OPENING, _LONGEST_OPENING), self._limit(_HANDING_OVER, _LONGEST_HANDING_OVER)
        return timedelta(seconds=sum(parts) + _QUIT_SECONDS)

    async def send(self, email: EmailMessage) -> None:
        client = self._client()
        try:
            # Not send_message: it would fold the headers again, by the standard policy that loses blanks of subjects,
            # and a time-out in it could not be blamed on either part.
            async with self._part(_OPENING, _LONGEST_OPENING, _before_recipient):
                await client.connect()
                await client.mail(email["From"].addresses[0].addr_spec)
            async with self._part(_HANDING_OVER, _LONGEST_HANDING_OVER, _after_recipient):
                await client.rcpt(email["To"].addresses[0].addr_spec)
                await client.data(email.as_bytes(), timeout=_ACCEPTANCE * self._timeout)
            # The server has accepted the email by now: a failing QUIT does not change that.
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        finally:
            _abort(client)

    def _client(self) -> SMTP:
        encryption = self._server.encryption
        return SMTP(
            hostname=self._server.host,
            port=self._server.port,
            # Its default is the name of this machine: localhost, or what a pod is called.
            local_hostname=self._ehlo_name,
            username=self._server.username,
            password=self._server.password,
            timeout=self._timeout,
            use_tls=encryption is Encryption.TLS,
            # False, not None: with None, the default, aiosmtplib uses STARTTLS only if the server offers it.
            start_tls=encryption is Encryption.STARTTLS,
            cert_bundle=str(self._ca_bundle) if self._ca_bundle else None,
        )

    @asynccontextmanager
    async def _part(
        self, answers: int, longest: float, refusal_of: Callable[[Exception], MailRefusal]
    ) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limit(answers, longest)):
                yield
        except (SMTPException, OSError, ValueError) as problem:
            reader_named = refusal_of is _after_recipient
            raise self._error(problem, refusal_of(problem), reader_named=reader_named) from problem

    def _limit(self, answers: int, longest: float) -> float:
        return min(answers * self._timeout, longest)

    def _error(self, problem: Exception, refusal: MailRefusal, *, reader_named: bool) -> DeliveryError:
        answer = problem if isinstance(problem, SMTPResponseException) else None
        said = f"{answer.code} {answer.message}" if answer else _described(problem)
        where = f"{self._server.host}:{self._server.port}"
        return DeliveryError(
            clean(f"{where}: {said}")[:_LONGEST_REASON],
            refusal.blame,
            permanent=refusal.permanent,
            reader_named=reader_named,
        )


def _before_recipient(_: Exception) -> MailRefusal:
    """Even a final refusal is due to settings, such as a wrong password, which can be corrected."""
    return MailRefusal(FailureScope.SERVER)


def _after_recipient(problem: Exception) -> MailRefusal:
    """Silence and a lost connection may concern this email or every email."""
    if isinstance(problem, SMTPRecipientRefused):
        return judged(SmtpStep.RECIPIENT, problem.code, problem.message)
    if isinstance(problem, SMTPDataError):
        return judged(SmtpStep.CONTENT, problem.code, problem.message)
    return MailRefusal(FailureScope.UNCLEAR)


def _described(problem: Exception) -> str:
    if isinstance(problem, SMTPTimeoutError | TimeoutError):
        return f"no answer in time ({problem})" if str(problem) else "the conversation took too long"
    return str(problem) or type(problem).__name__


def _abort(client: SMTP) -> None:
    """Abort: a plain close waits for as long as the other side does not read."""
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()


class FolderTransport:
    """A folder that keeps each email as NAME.eml and NAME.html; sent again, it replaces its files."""

    longest = timedelta(seconds=10)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, email: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, email)
        except OSError as problem:
            raise DeliveryError(f"mailbox {self._folder}: {problem.strerror}", FailureScope.SERVER) from problem

    def _write(self, email: EmailMessage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        html = email.get_body(("html",))
        name = _file_name(email)
        if html is not None:
            self._replace(f"{name}.html", html.get_content().encode())
        self._replace(f"{name}.eml", email.as_bytes())

    def _replace(self, name: str, content: bytes) -> None:
        """A reader of the folder sees the complete file or none."""
        unfinished = self._folder / f".{name}.{os.getpid()}"
        unfinished.write_bytes(content)
        unfinished.replace(self._folder / name)


def _file_name(email: EmailMessage) -> str:
    """From the subject and the start of the Message-ID: readable, and the same on every attempt."""
    readable = re.sub(r"[^a-z0-9]+", "-", email["Subject"].lower()).strip("-")[:60].strip("-")
    return f"{readable or 'notice'}-{email['Message-ID'].lstrip('<')[:8]}"
