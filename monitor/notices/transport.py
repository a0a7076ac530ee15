"""The ways a mail leaves: to a mail server, or into a folder."""

import asyncio
import os
import re
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPTimeoutError,
)

from monitor.addresses import Encryption, MailFolder, MailServer
from monitor.errors import DeliveryError
from monitor.notices.letters import clean

_LONGEST_REASON = 300


class Transport(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Hand the mail over for good; DeliveryError if it was not taken, permanent if it never will be."""


def transport_for(target: MailServer | MailFolder, timeout: timedelta, ca_bundle: Path | None = None) -> Transport:
    """`timeout` is the longest wait for the server's next answer; `ca_bundle` replaces the system's authorities."""
    if isinstance(target, MailFolder):
        return Mailbox(target.path)
    return SmtpTransport(target, timeout, ca_bundle)


class SmtpTransport:
    """One connection for each mail. Unless the address says otherwise it is encrypted, and the certificate verified."""

    def __init__(self, server: MailServer, timeout: timedelta, ca_bundle: Path | None = None) -> None:
        self._server = server
        self._timeout = timeout.total_seconds()
        self._ca_bundle = ca_bundle

    async def send(self, message: EmailMessage) -> None:
        client = self._client()
        try:
            await client.connect()
            # The mail's own bytes: aiosmtplib's send_message would fold its headers anew.
            await client.sendmail(message["From"].addresses[0].addr_spec, message["To"], message.as_bytes())
            # The mail is the server's by now: how the farewell ends does not change that.
            with suppress(SMTPException, OSError):
                await client.quit()
        except (SMTPException, OSError, ValueError) as problem:
            raise self._error(problem) from problem
        finally:
            client.close()

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

    def _error(self, problem: Exception) -> DeliveryError:
        """Only what the server says of the recipient or of the mail itself is for good; the rest may be mended."""
        reason = _reason(problem)
        code = reason.code if isinstance(reason, SMTPResponseException) else 0
        about_this_mail = isinstance(problem, SMTPRecipientsRefused | SMTPDataError)
        where = f"{self._server.host}:{self._server.port}"
        said = f"{code} {reason.message}" if isinstance(reason, SMTPResponseException) else _described(reason)
        return DeliveryError(clean(f"{where}: {said}")[:_LONGEST_REASON], permanent=about_this_mail and code >= 500)


def _reason(problem: Exception) -> Exception:
    return problem.recipients[0] if isinstance(problem, SMTPRecipientsRefused) else problem


def _described(problem: Exception) -> str:
    if isinstance(problem, SMTPTimeoutError | TimeoutError):
        return f"no answer in time ({problem})"
    return str(problem) or type(problem).__name__


class Mailbox:
    """A folder that holds each mail as NAME.eml and NAME.html; sent again, it replaces itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as problem:
            raise DeliveryError(f"mailbox {self._folder}: {problem.strerror}") from problem

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
