"""Halts of write probes: those in force, and what is said on top of their page. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.notices.wording import counted
from monitor.reporting.sentence import Name, Piece, Sentence, say

ALL_WRITES = "all"


@dataclass(frozen=True, slots=True)
class HaltRow:
    """A halt with the names people know; `lifted_by` is whom the log of operators' actions names."""

    id: int
    at: datetime
    scope: str
    endpoint: str
    status: int
    request_id: str | None
    record_id: str | None
    tenant_id: str | None
    tenant_name: str | None
    lifted_at: datetime | None
    lifted_reason: str | None
    lifted_by: str | None

    @property
    def in_force(self) -> bool:
        return self.lifted_at is None

    @property
    def stops(self) -> str:
        return "every write probe" if self.scope == ALL_WRITES else "write probes without an id in their path"


@dataclass(frozen=True, slots=True)
class HaltsChosen:
    """The halts that an operator means to lift, as they are now; `newer` are in force since they were chosen."""

    rows: Sequence[HaltRow]
    newer: int = 0

    @property
    def open(self) -> list[HaltRow]:
        return [row for row in self.rows if row.in_force]

    @property
    def changes(self) -> list[Sentence]:
        """What is no longer as it was; empty if nothing changed."""
        lifted = {(row.lifted_by, row.lifted_at, row.lifted_reason) for row in self.rows if not row.in_force}
        said = [say(*_lifted(*one)) for one in lifted]
        if self.newer:
            said.append(say(f"{counted(self.newer, 'halt')} came since then: not part of this, and still in force."))
        return said


def chosen(in_force: Sequence[HaltRow], named: Sequence[HaltRow], numbers: Collection[int]) -> HaltsChosen:
    """`named` are the halts with these numbers."""
    return HaltsChosen(named, newer=sum(row.id not in numbers for row in in_force))


def halts_headline(in_force: Sequence[HaltRow], last: HaltRow | None) -> Sentence:
    """`last` is the latest of those that were lifted."""
    if in_force:
        newest = in_force[0]
        whose: list[Piece] = [" for ", Name(newest.tenant_name)] if newest.tenant_name else []
        return say("Stopped since ", newest.at, ": a write probe was answered ", str(newest.status), *whose, ".")
    if last is None or last.lifted_at is None:
        return say("No write probe was ever halted.")
    return say("No halt is in force. ", *_lifted(last.lifted_by, last.lifted_at, last.lifted_reason))


def meaning(in_force: Sequence[HaltRow]) -> str:
    """What a halt means, in two sentences."""
    if not in_force:
        after = "Then no write probe is sent, for any tenant, until an operator has found out what happened."
    elif any(row.scope == ALL_WRITES for row in in_force):
        after = "So none is sent, for any tenant, until an operator has found out what happened; the rest goes on."
    else:
        after = "So none without an id in its path is sent until an operator has found out what happened."
    return f"{_PURPOSE} {after}"


_PURPOSE = (
    "A write probe is made so that Greenhouse must refuse it before it looks at any record; an answer that says "
    "otherwise may mean that something was changed there."
)


def _lifted(who: str | None, at: datetime | None, reason: str | None) -> list[Piece]:
    when: list[Piece] = [" ", at] if at else []
    return ["Lifted by ", Name(who or "an operator"), *when, *([" (“", Name(reason), "”)."] if reason else ["."])]
