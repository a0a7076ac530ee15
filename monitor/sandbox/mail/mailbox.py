"""The mail side of a sandbox: the mails that were delivered, and the faults that deliveries meet."""

from collections.abc import Callable, Iterator, Sequence

from monitor.sandbox.faults.mail import MailFaults
from monitor.sandbox.mail.inbox import Mails


class Mailbox:
    """Mails and mail faults; `address` is where mail is accepted, None while no mail server runs."""

    def __init__(self, clock: Callable[[], float], numbers: Iterator[int]) -> None:
        self.faults = MailFaults(clock, numbers)
        self.mails = Mails()
        self.address: str | None = None
        self._clock = clock

    def accept(self, sender: str, recipients: Sequence[str], *, encrypted: bool, raw: bytes) -> None:
        self.mails.add(self._clock(), sender, recipients, encrypted=encrypted, raw=raw)

    def reset(self) -> None:
        """Delete all mails and end all faults."""
        self.mails.clear()
        self.faults.clear()
