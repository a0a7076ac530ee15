"""The mail side of a sandbox: what was delivered, and the faults that deliveries meet."""

from collections.abc import Callable, Iterator, Sequence

from monitor.sandbox.faults.mail import MailFaults
from monitor.sandbox.mail.inbox import Mails


class Mailbox:
    """Keeps the mails and the switches; `address` is where mail is taken, for as long as somebody takes it."""

    def __init__(self, clock: Callable[[], float], numbers: Iterator[int]) -> None:
        self.faults = MailFaults(clock, numbers)
        self.mails = Mails()
        self.address: str | None = None
        self._clock = clock

    def take(self, sender: str, recipients: Sequence[str], *, encrypted: bool, raw: bytes) -> None:
        self.mails.take(self._clock(), sender, recipients, encrypted=encrypted, raw=raw)

    def reset(self) -> None:
        """Forget all mails and end all faults."""
        self.mails.clear()
        self.faults.clear()
