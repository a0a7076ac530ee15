"""A written notice: its statuses, its Message-ID, and the mail it becomes."""

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
    """`held` waits for an operator; `dropped` is never sent; `failed` was refused for good."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


class _Policy(EmailPolicy):
    """SMTP's, but for subjects: email.policy of Python 3.11 loses and adds blanks where it folds long ones."""

    def fold(self, name: str, value: str) -> str:
        if name != "Subject":
            return str(super().fold(name, value))
        charset = "us-ascii" if value.isascii() and "=?" not in value else "utf-8"
        return f"{name}: {Header(str(value), charset, header_name=name).encode(linesep=self.linesep)}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


_POLICY = _Policy(linesep="\r\n")


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice that was claimed for sending; `attempts` counts this one. Without `html` it is text only."""

    id: int
    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    attempts: int


def message_id(identity: str, mail_from: str) -> str:
    """The same for the same notice on every attempt, so that a mail sent twice is shown once."""
    return f"<{identity}@{parseaddr(mail_from)[1].rpartition('@')[2]}>"


def as_message(notice: ClaimedNotice, mail_from: str, now: datetime) -> EmailMessage:
    """The mail as it travels; DeliveryError (permanent) if an address or a header can not be one."""
    message = EmailMessage(policy=_POLICY)
    try:
        message["From"] = _sender(mail_from)
        message["To"] = Address(addr_spec=mail_address(notice.recipient))
        message["Subject"] = notice.subject
        message["Message-ID"] = notice.message_id
    except (ValueError, MessageError) as problem:
        raise DeliveryError(f"it can not be made a mail: {problem}", FailureScope.MAIL, permanent=True) from problem
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(notice.text, cte="quoted-printable")
    if notice.html:
        message.add_alternative(notice.html, subtype="html", cte="quoted-printable")
    return message


def _sender(mail_from: str) -> Address:
    name, address = parseaddr(named_mail_address(mail_from))
    return Address(display_name=name, addr_spec=address)
