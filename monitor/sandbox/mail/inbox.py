"""The mails that the sandbox's mail server accepted."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

_KEPT = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as received; `at` is in epoch seconds, `encrypted` says whether the connection was."""

    number: int
    at: float
    sender: str
    recipients: Sequence[str]
    encrypted: bool
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)

    def part(self, kind: str) -> str | None:
        """Its `plain` or `html` part, if it has one."""
        body = self.message.get_body((kind,))
        return None if body is None else str(body.get_content()).replace("\r\n", "\n")


class Mails:
    """The last mails, and the count of all since the last clear."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=_KEPT)
        self.count = 0

    def clear(self) -> None:
        self._mails.clear()
        self.count = 0

    def add(self, at: float, sender: str, recipients: Sequence[str], *, encrypted: bool, raw: bytes) -> None:
        self.count += 1
        self._mails.append(Mail(self.count, at, sender, tuple(recipients), encrypted, raw))

    def to(self, recipient: str | None = None, *, after: int = 0) -> list[Mail]:
        """The mails still kept, oldest first: to one address or to all, with a number greater than `after`."""
        return [m for m in self._mails if m.number > after and (recipient is None or recipient in m.recipients)]

    def mail(self, number: int) -> Mail | None:
        return next((mail for mail in self._mails if mail.number == number), None)
