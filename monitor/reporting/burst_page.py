"""What the page of a burst says on top, and what its cause is decided by. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.incidents.burst_queries import ChangeState
from monitor.incidents.changes import ListedBurst, ListedChange, ToldCount, ToldStatus
from monitor.notices.wording import counted
from monitor.reporting.change_cause import CauseOrigin, ChangeCause, ChangeEvidence, cause_of
from monitor.reporting.change_sentence import change_mark, change_sentence
from monitor.reporting.headline import Tone
from monitor.reporting.sentence import Sentence


@dataclass(frozen=True, slots=True)
class BurstPage:
    """`standings` count its tenants, `told` too; both add up to all of them."""

    burst: ListedBurst
    names: Mapping[str, str]
    standings: Mapping[ChangeState, int]
    told: Sequence[ToldCount]
    evidence: ChangeEvidence

    @property
    def change(self) -> ListedChange:
        return ListedChange([self.burst], dict(self.names))

    @property
    def said(self) -> Sentence:
        return change_sentence(self.change)

    @property
    def mark(self) -> str:
        return change_mark(self.change)

    @property
    def cause(self) -> ChangeCause:
        return cause_of(self.evidence)

    @property
    def lasts(self) -> int:
        return self.standings[ChangeState.LASTS]

    @property
    def held(self) -> int:
        return sum(told.tenants for told in self.told if told.status is ToldStatus.HELD)

    @property
    def tone(self) -> Tone:
        return Tone.BAD if self.lasts else Tone.CALM

    @property
    def going_on(self) -> str:
        """How its tenants stand now, in numbers that add up."""
        words = {
            ChangeState.LASTS: "still so",
            ChangeState.RESTORED: "restored",
            ChangeState.UNKNOWN: "not decided since",
            ChangeState.GONE: "removed since",
            ChangeState.PAST: "over: nothing to restore",
        }
        said = [f"{number:,} {words[standing]}" for standing, number in self.standings.items() if number]
        return ", ".join(said)

    @property
    def next_step(self) -> str:
        if self.held:
            return _DECIDE[self.cause.origin]
        if not self.lasts:
            return "Nothing: it is over."
        if self.cause.origin is CauseOrigin.OURS:
            return "Mend it; the next check of each tenant sees it."
        return "What is restored is seen by the next check of each tenant, and whoever was told is told of that, too."


_CHECK_ONE = "Check one of them now: for what has recovered no email is sent. "
_DECIDE: Mapping[CauseOrigin, str] = {
    CauseOrigin.CUSTOMER: f"{_CHECK_ONE}Then release the emails.",
    CauseOrigin.GREENHOUSE: f"{_CHECK_ONE}Drop the emails if no customer can mend it.",
    CauseOrigin.OURS: "Mend it, check one of them, and drop the emails.",
    CauseOrigin.NOT_CUSTOMER: f"{_CHECK_ONE}Ask Greenhouse; release the emails only if customers did untick it.",
    CauseOrigin.UNKNOWN: f"{_CHECK_ONE}Then release or drop the emails.",
}


def evidence_of(
    burst: ListedBurst, detail: str, others_served: int, failing_otherwise: int, expected_share: float
) -> ChangeEvidence:
    return ChangeEvidence(
        kind=EventKind(burst.kind),
        tenants=burst.tenants,
        others_served=others_served,
        expected_share=expected_share,
        state=CredentialState(burst.state) if burst.state else None,
        detail=detail,
        failing_otherwise=failing_otherwise,
    )


def told_words(told: Sequence[ToldCount]) -> str:
    """Who was told of a burst, in numbers of tenants that add up to all of them."""
    return ", ".join(f"{counted(one.tenants, 'tenant')}: {_TOLD[one.status]}" for one in told)


_TOLD: Mapping[ToldStatus, str] = {
    ToldStatus.HELD: "email held, nobody told",
    ToldStatus.FAILED: "email failed, nobody told",
    ToldStatus.PENDING: "email waits to be sent",
    ToldStatus.SETTLING: "nobody yet, changes are collected",
    ToldStatus.SENT: "emailed",
    ToldStatus.DROPPED: "email dropped, nobody is told",
    ToldStatus.NOBODY: "nobody, nothing to tell",
}
