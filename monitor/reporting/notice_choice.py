"""What an operator is about to do with chosen notices, and what became of those that it no longer concerns. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices.notice import Status
from monitor.notices.notice_queries import PastAction
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import counted
from monitor.reporting.notice_list import PAST
from monitor.reporting.sentence import Name, Piece, Sentence, say

_READERS_NAMED = 5


class NoticeCommand(StrEnum):
    RELEASE = "release"
    DROP = "drop"
    RETRY = "retry"

    @property
    def acts_on(self) -> frozenset[Status]:
        return _ACTS_ON[self]


_ACTS_ON = {
    NoticeCommand.RELEASE: frozenset({Status.HELD}),
    NoticeCommand.DROP: frozenset({Status.HELD, Status.FAILED}),
    NoticeCommand.RETRY: frozenset({Status.FAILED}),
}


CONSEQUENCES = {
    NoticeCommand.RELEASE: (
        "Sent within a minute, and cannot be called back. The same readers are told when it is restored. "
        "What changes in the same way within the interval is held again."
    ),
    NoticeCommand.DROP: (
        "Never sent, and that cannot be undone: no CSM is told now or on recovery. "
        "What else happens to these tenants later is told as usual."
    ),
    NoticeCommand.RETRY: (
        "Tried at once, then after longer and longer waits. "
        "An email for a CSM goes to the one whom the tenants file names now."
    ),
}
"""What follows from each, to be read before it is done."""


@dataclass(frozen=True, slots=True)
class ChosenNotice:
    """`csm_name` and `csm_email` are those of the CSM whom the tenants file names now."""

    number: int
    status: Status
    audience: str
    recipient: str
    subject: str
    tenant_id: str | None
    tenant_name: str | None
    csm_name: str | None
    csm_email: str | None
    last_action: PastAction | None = None

    def address(self, command: NoticeCommand, policy: NoticePolicy) -> str:
        """Where it goes: a retried one to the CSM of today, unless the operator gets the CSMs' emails."""
        stays = policy.mode is not NoticesMode.CSM or self.recipient.lower() == policy.operator_mail.lower()
        if command is not NoticeCommand.RETRY or stays or self.audience != Audience.CSM:
            return self.recipient
        return self.csm_email or self.recipient

    def name_of(self, address: str) -> str:
        """The CSM's name, where it is their address."""
        return self.csm_name if self.csm_name and self.csm_email == address else address

    @property
    def fate(self) -> Sentence:
        """Why it is as it is now."""
        done = self.last_action
        if done is None or done.action not in PAST:
            return say(_BY_ITSELF[self.status])
        because: list[Piece] = [" (“", Name(done.reason), "”)"] if done.reason else []
        return say(f"{PAST[done.action]} by ", Name(done.who), " ", done.at, *because)


_BY_ITSELF = {
    Status.HELD: "held",
    Status.PENDING: "on its way",
    Status.SENT: "sent",
    Status.FAILED: "failed",
    Status.DROPPED: "no longer held: what it was about had recovered, or a newer email took its place",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """`missing` of the chosen numbers belong to no notice; `newer` are held since they were chosen."""

    command: NoticeCommand
    notices: Sequence[ChosenNotice]
    missing: int = 0
    newer: int = 0

    @property
    def asked(self) -> int:
        return len(self.notices) + self.missing

    @property
    def open(self) -> list[ChosenNotice]:
        """Those that the command concerns."""
        return [one for one in self.notices if one.status in self.command.acts_on]

    def readers(self, policy: NoticePolicy) -> list[tuple[str, int]]:
        """Who gets them, by name or address, and how many; whoever gets most first."""
        found: dict[str, tuple[str, int]] = {}
        for one in self.open:
            address = one.address(self.command, policy)
            name, number = found.get(address.lower(), (one.name_of(address), 0))
            found[address.lower()] = (name, number + 1)
        return sorted(found.values(), key=lambda reader: (-reader[1], reader[0]))

    def readers_said(self, policy: NoticePolicy) -> Sentence:
        readers = self.readers(policy)
        named: list[Piece] = []
        for place, (name, number) in enumerate(readers[:_READERS_NAMED]):
            named += [*([", "] if place else []), Name(name), f" ({number:,})" if len(readers) > 1 else ""]
        more = len(readers) - _READERS_NAMED
        return say(*named, f" and {more:,} more" if more > 0 else "")

    def question(self, policy: NoticePolicy) -> str:
        emails, readers = counted(len(self.open), "email"), counted(len(self.readers(policy)), "reader")
        if not self.open:
            before = "failed" if self.command is NoticeCommand.RETRY else "held"
            return f"Nothing to {self.command}: {'it is' if self.asked == 1 else 'they are'} no longer {before}"
        match self.command:
            case NoticeCommand.RELEASE:
                return f"Send {emails} to {readers}?"
            case NoticeCommand.DROP:
                return f"Drop {emails} to {readers}?"
        return f"Try {emails} to {readers} again?"

    def consequence(self, policy: NoticePolicy) -> str:
        if policy.mode is NoticesMode.OFF and self.command is not NoticeCommand.DROP:
            return "Nothing is sent yet, since notices are off. Once they are on, these are sent, and not called back."
        return CONSEQUENCES[self.command]

    @property
    def button(self) -> str:
        emails = counted(len(self.open), "email")
        words = {NoticeCommand.RELEASE: "Send {}", NoticeCommand.DROP: "Drop {}", NoticeCommand.RETRY: "Try {} again"}
        return words[self.command].format(emails)

    @property
    def changes(self) -> list[Sentence]:
        """What is no longer as it was when the notices were chosen; empty if nothing changed."""
        fates: dict[Sentence, int] = {}
        for one in self.notices:
            if one.status not in self.command.acts_on:
                fates[one.fate] = fates.get(one.fate, 0) + 1
        said = [_of(number, self.asked, fate) for fate, number in fates.items()]
        if self.missing:
            said.append(say(f"{counted(self.missing, 'number')} belong to no email."))
        if self.newer:
            said.append(say(f"{counted(self.newer, 'email')} more held since then: not part of this."))
        return said


def _of(number: int, asked: int, fate: Sentence) -> Sentence:
    return Sentence((*say(f"{number:,} of {asked:,}: ").parts, *fate.parts, *say(".").parts))
