"""A written notice: its statuses, its Message-ID, and the email it becomes."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from enum import StrEnum

from monitor.config.mail_addresses import mail_address, named_mail_address
from monitor.errors import DeliveryError, FailureScope
from monitor.notices.wording import clean


class Status(StrEnum):
    """`held` waits for an operator; `dropped` is never sent; `failed` was refused for good, or given up."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    DROPPED = "dropped"
    FAILED = "failed"


class _Policy(EmailPolicy):
    """SMTP's, except for subjects and names, which it must not fold.

    Python 3.11's email.policy loses and adds blanks in long subjects, and drops the quotes of names it folds.
    """

    def fold(self, name: str, value: str) -> str:
        if name == "Subject":
            return f"{name}: {_words(value, name, self.linesep)}{self.linesep}"
        if name in ("From", "To"):
            return f"{name}: {_mailbox(value.addresses[0], name, self.linesep)}{self.linesep}"  # type: ignore[attr-defined]
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


def _words(text: str, name: str, linesep: str) -> str:
    # A text with `=?` would be read as an encoded word (RFC 2047), so it is sent as one.
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return Header(str(text), charset, header_name=name).encode(linesep=linesep)


def _mailbox(address: Address, name: str, linesep: str) -> str:
    """`"Name" <address>`; in an encoded word no character of a name can be taken for part of the address."""
    reader = address.display_name
    if not reader:
        return address.addr_spec
    if _ATOMS.fullmatch(reader):
        shown = reader
    elif _QUOTABLE.fullmatch(reader) and "=?" not in reader:
        shown = f'"{reader}"'
    else:
        shown = Header(reader, "utf-8", header_name=name).encode(linesep=linesep)
    fits = len(name) + len(shown) + len(address.addr_spec) < _LINE
    return f"{shown}{'' if fits else linesep} <{address.addr_spec}>"


_LINE = 70  # of the 78 characters that a line should have at most (RFC 5322, 2.1.1), without what surrounds the two
_LONGEST_NAME = 100
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]{1,30}(?: [A-Za-z0-9!#$%&'*+/^_`{|}~-]{1,30}){0,1}")
_QUOTABLE = re.compile(r"[ !#-\[\]-~]{1,60}")
_POLICY = _Policy(linesep="\r\n")


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice claimed for sending; `attempts` includes this one. Without `html` it is text only.

    `reader` is the name of whom the tenants file names at the address, if anybody.
    """

    id: int
    recipient: str
    subject: str
    text: str
    html: str
    message_id: str
    attempts: int
    last_error: str | None = None
    reader: str = ""


def message_id(identity: str, mail_from: str) -> str:
    """The same on every attempt for one notice, so that mail programs show an email that was sent twice only once."""
    return f"<{identity}@{parseaddr(mail_from)[1].rpartition('@')[2]}>"


def as_email(notice: ClaimedNotice, mail_from: str, now: datetime) -> EmailMessage:
    """The email to send; DeliveryError (permanent) if an address or a header is not valid."""
    email = EmailMessage(policy=_POLICY)
    try:
        email["From"] = _sender(mail_from)
        email["To"] = _reader(notice)
        email["Subject"] = notice.subject
        email["Message-ID"] = notice.message_id
    except (ValueError, MessageError) as problem:
        raise DeliveryError(f"it cannot be made an email: {problem}", FailureScope.MAIL, permanent=True) from problem
    email["Date"] = format_datetime(now)
    # No out-of-office replies: RFC 3834, and the header that Exchange obeys.
    email["Auto-Submitted"] = "auto-generated"
    email["X-Auto-Response-Suppress"] = "All"
    email.set_content(notice.text, cte=transfer_encoding(notice.text.encode("utf-8", "replace")))
    if notice.html:
        email.add_alternative(
            notice.html, subtype="html", cte=transfer_encoding(notice.html.encode("utf-8", "replace"))
        )
    return email


def transfer_encoding(content: bytes) -> str:
    """ASCII in short lines, by whichever is shorter: 8-bit, the default, needs a server with 8BITMIME (RFC 6152)."""
    # Quoted-printable makes three bytes of each outside ASCII, base64 four of any three.
    outside = len(content) - len(content.decode("ascii", "ignore"))
    return "base64" if 6 * outside > len(content) else "quoted-printable"


def _reader(notice: ClaimedNotice) -> Address:
    return Address(display_name=clean(notice.reader)[:_LONGEST_NAME].strip(), addr_spec=mail_address(notice.recipient))


def _sender(mail_from: str) -> Address:
    name, address = parseaddr(named_mail_address(mail_from))
    return Address(display_name=name, addr_spec=address)
