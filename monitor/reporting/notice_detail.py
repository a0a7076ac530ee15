"""One notice with what it is about: the sentence on top, and its events. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.drift import EventKind
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, PastAction, WholeNotice
from monitor.reporting.headline import Tone
from monitor.reporting.notice_list import NoticeNews, reason_of
from monitor.reporting.sentence import Name, PermissionLabel, Piece, Sentence, say


@dataclass(frozen=True, slots=True)
class NoticeEvent:
    """A change that the notice reports, which happened between `seen_before` and `first_seen`."""

    kind: EventKind
    label: str | None
    state: str | None
    credential_label: str
    tenant_id: str
    tenant_name: str
    incident_id: int | None
    burst_id: int | None
    seen_before: datetime | None
    first_seen: datetime

    @property
    def said(self) -> Sentence:
        """Seen is not happened: a change has two moments."""
        happened, seen = _WORDS[self.kind]
        what: Piece = PermissionLabel(self.label) if self.label else Name(self.credential_label)
        state = f" ({self.state})" if self.state else ""
        after: list[Piece] = [f"{happened} after ", self.seen_before, ", "] if self.seen_before else []
        return say(what, state, " ", *after, f"{seen} ", self.first_seen)


_WORDS = {
    EventKind.LOST: ("lost", "seen missing"),
    EventKind.FOUND: ("gone", "found so"),
    EventKind.REGAINED: ("restored", "seen granted"),
    EventKind.NEWLY_REQUIRED: ("newly required", "seen missing"),
    EventKind.EXCESS_FOUND: ("granted", "seen granted and not asked for"),
    EventKind.EXCESS_GONE: ("taken back", "seen refused"),
    EventKind.CREDENTIAL_FAILED: ("failed", "seen failing"),
    EventKind.RECOVERED: ("back", "seen working"),
    EventKind.REPLACED: ("replaced", "seen replaced"),
}


@dataclass(frozen=True, slots=True)
class NoticeDetail:
    """`events` are the first of those that `news` counts. `csm_name` is as in NoticeRow."""

    whole: WholeNotice
    tenant_name: str | None
    csm_name: str | None
    news: Sequence[NoticeNews]
    events: Sequence[NoticeEvent]

    @property
    def notice(self) -> ListedNotice:
        return self.whole.listed

    @property
    def event_count(self) -> int:
        return sum(one.times for one in self.news)

    @property
    def reason(self) -> Sentence:
        return reason_of(self.news, self.notice.why)

    @property
    def last_action(self) -> PastAction | None:
        return self.whole.actions[-1] if self.whole.actions else None

    @property
    def burst(self) -> int | None:
        """The first change it reports that was grouped with those of others."""
        return next((event.burst_id for event in self.events if event.burst_id is not None), None)

    @property
    def tone(self) -> Tone:
        return {Status.HELD: Tone.WARN, Status.FAILED: Tone.BAD}.get(Status(self.notice.status), Tone.CALM)

    @property
    def said(self) -> Sentence:
        """What became of it, in one sentence."""
        notice, email = self.notice, self._email
        match notice.status:
            case Status.HELD:
                return say("Held since ", notice.created_at, ": ", *email, ". It waits for an operator.")
            case Status.FAILED:
                since: list[Piece] = [" since ", notice.failed_at] if notice.failed_at else []
                return say("Failed", *since, ": ", *email, ". Its reader does not know.")
            case Status.SENT if notice.sent_at:
                return say("Sent ", notice.sent_at, ": ", *email, ".")
            case Status.DROPPED:
                return say("Dropped", *self._by_whom, ": ", *email, ". It is never sent.")
        again: list[Piece] = [" Next try ", notice.next_attempt_at, "."] if notice.next_attempt_at else []
        return say("On its way: ", *email, ".", *again)

    @property
    def _email(self) -> list[Piece]:
        about: list[Piece] = [" about ", Name(self.tenant_name)] if self.tenant_name else []
        return ["an email to ", Name(self.csm_name or self.notice.recipient), *about]

    @property
    def _by_whom(self) -> list[Piece]:
        done = self.last_action
        return [" by ", Name(done.who), " ", done.at] if done and done.action == "notices drop" else []

    @property
    def why_dropped(self) -> str:
        """Of a notice that was dropped and by no operator; empty for any other."""
        if self.notice.status != Status.DROPPED or self._by_whom:
            return ""
        if self.news:
            return "What it was about had recovered before it was sent, so nothing was left to report."
        return "A newer email about the same tenant took its place, or the tenant was paused or removed."
