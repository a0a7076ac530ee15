"""Faults of the mail server: which mails they hit, and at which step of the delivery."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from monitor.sandbox.faults.active import ActiveFaults, FaultTerms


class MailFaultKind(StrEnum):
    REFUSED = "refused"  # nothing listens on the port
    NO_STARTTLS = "no_starttls"  # encryption is not offered
    ANSWER = "answer"  # `text` at `step`; after a 421 the connection closes
    HANG_UP = "hang_up"  # the connection closes at `step`, without an answer
    SILENT = "silent"  # no answer at `step` for as long as the client waits
    SLOW = "slow"  # the right answer at `step`, after `seconds`


class MailStep(StrEnum):
    """How far a delivery has got; a recipient is known from `rcpt` on."""

    CONNECT = "connect"
    LOGIN = "login"
    MAIL = "mail"  # the sender is named
    RCPT = "rcpt"  # a recipient is named
    DATA = "data"  # the whole mail is received, but not accepted yet
    TAKEN = "taken"  # the mail is accepted, but the client does not know yet
    QUIT = "quit"


_WITH_RECIPIENT = (MailStep.RCPT, MailStep.DATA, MailStep.TAKEN)
OF_CONNECTION = (MailFaultKind.REFUSED, MailFaultKind.NO_STARTTLS)


class MailFault(FaultTerms):
    """One fault. It matches every mail unless `recipient` names one address."""

    kind: MailFaultKind
    step: MailStep = MailStep.RCPT
    recipient: str | None = None
    tries: Annotated[int, Field(ge=1)] | None = None
    """Hits only this many of the first attempts for each recipient, as greylisting does."""
    text: Annotated[str, Field(pattern=r"^[245][0-9][0-9] [ -~]+$", max_length=200)] = "451 4.3.0 Sandbox fault"
    seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0

    @model_validator(mode="after")
    def _fits_together(self) -> "MailFault":
        narrowed = (self.recipient, self.times, self.tries, self.share) != (None, None, None, 1)
        if narrowed and self.kind in OF_CONNECTION:
            raise ValueError(f"{self.kind} is for all mails: it takes no recipient, times, tries or share")
        if (self.recipient or self.tries) and self.step not in _WITH_RECIPIENT:
            raise ValueError(f"at {self.step} no recipient is known yet: use one of {', '.join(_WITH_RECIPIENT)}")
        # This fault is drawn while asyncio creates the connection's protocol, which cannot wait.
        if self.kind is MailFaultKind.SLOW and self.step is MailStep.CONNECT:
            raise ValueError("a greeting cannot be slow: use silent, or slow at login or mail")
        return self

    @property
    def only_for(self) -> str | None:
        return self.recipient

    def spares_after(self, hits: int) -> bool:
        return hits == self.tries

    def matches(self, step: MailStep, recipients: Sequence[str]) -> bool:
        if self.kind in OF_CONNECTION or step is not self.step:
            return False
        return self.recipient is None or self.recipient in recipients


class MailFaults(ActiveFaults[MailFault]):
    """The active faults of the mail server."""

    def includes(self, kind: MailFaultKind) -> bool:
        return any(each.fault.kind is kind for each in self.active())

    def take(self, step: MailStep, recipients: Sequence[str] = ()) -> MailFault | None:
        """The fault that hits a delivery at this step."""
        return self.draw(lambda fault: fault.matches(step, recipients), ", ".join(recipients))
