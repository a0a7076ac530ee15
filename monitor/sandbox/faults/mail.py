"""What can go wrong on purpose when mail is delivered: which mails a fault hits, at which step, and how."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from monitor.sandbox.faults.active import ActiveFaults, FaultTerms


class MailFaultKind(StrEnum):
    REFUSED = "refused"  # nobody listens on the port
    NO_STARTTLS = "no_starttls"  # encryption is not offered
    ANSWER = "answer"  # `text` at `step`; after a 421 the connection closes
    HANG_UP = "hang_up"  # the connection closes at `step`, with no answer
    SILENT = "silent"  # no answer at `step` for as long as the client waits
    SLOW = "slow"  # the right answer at `step`, after `seconds`


class MailStep(StrEnum):
    """How far a delivery has come; a recipient is known from `rcpt` on."""

    CONNECT = "connect"
    LOGIN = "login"
    MAIL = "mail"  # the sender is named
    RCPT = "rcpt"  # a recipient is named
    DATA = "data"  # the whole mail is here, and not taken yet
    TAKEN = "taken"  # the mail is taken, and the client does not know it yet
    QUIT = "quit"


_WITH_RECIPIENT = (MailStep.RCPT, MailStep.DATA, MailStep.TAKEN)
OF_CONNECTION = (MailFaultKind.REFUSED, MailFaultKind.NO_STARTTLS)


class MailFault(FaultTerms):
    """One fault. It hits every mail unless `recipient` names one address."""

    kind: MailFaultKind
    step: MailStep = MailStep.RCPT
    recipient: str | None = None
    tries: Annotated[int, Field(ge=1)] | None = None
    """Hits only so many of the first attempts for each recipient, as greylisting does."""
    text: Annotated[str, Field(pattern=r"^[245][0-9][0-9] [ -~]+$", max_length=200)] = "451 4.3.0 Sandbox fault"
    seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0

    @model_validator(mode="after")
    def _fits_together(self) -> "MailFault":
        if self.kind in OF_CONNECTION and (self.recipient, self.times, self.tries, self.share) != (
            None,
            None,
            None,
            1,
        ):
            raise ValueError(f"{self.kind} is for all mails: it takes no recipient, times, tries or share")
        if (self.recipient or self.tries) and self.step not in _WITH_RECIPIENT:
            raise ValueError(f"at {self.step} no recipient is known yet: use one of {', '.join(_WITH_RECIPIENT)}")
        if self.kind is MailFaultKind.SLOW and self.step is MailStep.CONNECT:
            raise ValueError("a greeting is not slow: let it be silent, or be slow at login or mail")
        return self

    @property
    def whom(self) -> str | None:
        return self.recipient

    def has_enough_of(self, hits: int) -> bool:
        return hits == self.tries

    def hits(self, step: MailStep, recipients: Sequence[str]) -> bool:
        if self.kind in OF_CONNECTION or step is not self.step:
            return False
        return self.recipient is None or self.recipient in recipients


class MailFaults(ActiveFaults[MailFault]):
    """The faults of the mail server."""

    def stands(self, kind: MailFaultKind) -> bool:
        """One of this kind, which is for all mails, is in force."""
        return any(each.fault.kind is kind for each in self.in_force())

    def take(self, step: MailStep, recipients: Sequence[str] = ()) -> MailFault | None:
        """The fault that a delivery meets at this step."""
        return self.draw(lambda fault: fault.hits(step, recipients), ", ".join(recipients))
