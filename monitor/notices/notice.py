"""A written notice: its statuses, its Message-ID, and the email it becomes."""

from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from enum import StrEnum

from monitor.config.addresses import mail_address, named_mail_address
from monitor.errors import DeliveryError, FailureScope


class Status(StrEnum):
    """`held` waits for an operator; `dropped` is never sent; `failed` was refused for good, or given up."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


class _Policy(EmailPolicy):
    """SMTP's, except for subjects: Python 3.11's email.policy loses and adds blanks when it folds long ones."""

    def fold(self, name: str, value: str) -> str:
        if name != "Subject":
            return str(super().fold(name, value))
        # A text with `=?` would be read as an encoded word (RFC 2047), so it is sent as one.
        charset = "us-ascii" if value.isascii() and "=?" not in value else "utf-8"
        return f"{name}: {Header(str(value), charset, header_name=name).encode(linesep=self.linesep)}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


_POLICY = _Policy(linesep="\r\n")


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice claimed for sending; `attempts` includes this one. Without `html` it is text only."""

    id: int
    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    attempts: int


def message_id(identity: str, mail_from: str) -> str:
    """The same on every attempt for one notice, so that mail programs show an email that was sent twice only once."""
    return f"<{identity}@{parseaddr(mail_from)[1].rpartition('@')[2]}>"


def as_email(notice: ClaimedNotice, mail_from: str, now: datetime) -> EmailMessage:
    """The email to send; DeliveryError (permanent) if an address or a header is not valid."""
    email = EmailMessage(policy=_POLICY)
    try:
        email["From"] = _sender(mail_from)
        email["To"] = Address(addr_spec=mail_address(notice.recipient))
        email["Subject"] = notice.subject
        email["Message-ID"] = notice.message_id
    except (ValueError, MessageError) as problem:
        raise DeliveryError(f"it cannot be made an email: {problem}", FailureScope.MAIL, permanent=True) from problem
    email["Date"] = format_datetime(now)
    # No out-of-office replies: RFC 3834, and the header that Exchange obeys.
    email["Auto-Submitted"] = "auto-generated"
    email["X-Auto-Response-Suppress"] = "All"
    # ASCII in short lines: by default the body is 8-bit, which needs a server with 8BITMIME (RFC 6152).
    email.set_content(notice.text, cte="quoted-printable")
    if notice.html:
        email.add_alternative(notice.html, subtype="html", cte="quoted-printable")
    return email


def _sender(mail_from: str) -> Address:
    name, address = parseaddr(named_mail_address(mail_from))
    return Address(display_name=name, addr_spec=address)
