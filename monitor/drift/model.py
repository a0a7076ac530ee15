"""What is known about a credential, and the dated facts that a check adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from checks.credential import CredentialState
from checks.report import Outcome, Verdict


class EventKind(StrEnum):
    # Stored with events and in brake keys, and shown by `history`: a value never changes.
    FOUND = "found"
    LOST = "lost"
    REGAINED = "regained"
    NEWLY_REQUIRED = "newly_required"
    EXCESS_FOUND = "excess_found"
    EXCESS_GONE = "excess_gone"
    CREDENTIAL_FAILED = "credential_failed"
    RECOVERED = "recovered"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Event:
    """One drift event. `seen_before` and `first_seen` are the window in which it happened.

    For excess, `permission_id` is the endpoint, and `detail` is `certain` or `likely`. `state` is the new one of a
    failure, or the one recovered from; `found` with a state is a secret that never worked here. `notified_as` is the
    kind (or state) under which an earlier failure was notified; it decides who is notified of its end, and that nobody
    is notified of its beginning twice.
    """

    kind: EventKind
    permission_id: str | None = None
    group: str | None = None
    label: str | None = None
    mapping: str | None = None
    rule: str | None = None
    state: CredentialState | None = None
    detail: str = ""
    seen_before: datetime | None = None
    first_seen: datetime | None = None
    notified_as: str | None = None


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """`look_again_after` is when to check again before somebody is told to ask the customer; None if nobody is told.

    `retired_after`: for so long every check must see a retired API before a key counts as retired.
    """

    confirm_after: timedelta
    interval: timedelta
    look_again_after: timedelta | None = None
    retired_after: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KnownPermission:
    """The last decided verdict on one permission, and what has been seen since.

    `verdict` is granted, missing or None (nothing decided under this fingerprint). `origin` is the kind of event under
    which it went missing and still is; `newly_required` also marks, before anything is decided, a permission that was
    not asked for at the baseline. `undecided_*` and `suspect_*` are set while the last check left it undecided, or saw
    it missing without confirmation; or, where it is known as missing, granted without confirmation. `last_granted_at`
    is written when it stops being seen granted. `asked` identifies the requests or scopes that the verdict rests on;
    None where an earlier release decided it.

    `answered_status`, `evidence` and `more_evidence` are those of Finding, as they were at `evidence_at`, when the
    verdict was decided; while it is undecided or seen missing once, of that, unless it is known as missing. All four
    are None where an earlier release decided it.
    """

    group: str
    label: str
    verdict: Verdict | None = None
    rule: str = ""
    since: datetime | None = None
    last_granted_at: datetime | None = None
    origin: EventKind | None = None
    undecided_since: datetime | None = None
    undecided_as: Verdict | None = None
    undecided_reason: str | None = None
    suspect_since: datetime | None = None
    suspect_looks: int = 0
    asked: str | None = None
    answered_status: int | None = None
    evidence: tuple[str, ...] | None = None
    more_evidence: int | None = None
    evidence_at: datetime | None = None

    @property
    def missing(self) -> bool:
        return self.verdict is Verdict.MISSING

    @property
    def suspect(self) -> bool:
        return self.suspect_since is not None

    @property
    def open(self) -> bool:
        """Undecided now: by the last check, or seen missing once before anything was decided."""
        return self.undecided_as is Verdict.UNDECIDED or (self.suspect and self.verdict is None)

    @property
    def carried(self) -> bool:
        """It was missing under the secret before this one, and nothing has been decided since."""
        return self.verdict is None and self.origin in (EventKind.LOST, EventKind.FOUND)


@dataclass(frozen=True, slots=True)
class KnownExcess:
    label: str
    certain: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """The credential as a whole. `state` is confirmed; `suspect_state` was seen once.

    `suspect_since` and `suspect_looks` count failing checks in a row, whatever they failed with. `was_invalid` holds
    from a confirmed `invalid` until it is ok again. `baseline_at` is the first full check under this fingerprint,
    `last_full_at` the last one that was served, `manifest_digest` what that one asked for. `suspect_fingerprint` is
    that of another secret, which failed in the last check: perhaps half written, so it does not count yet.
    """

    # Each field, and each of Counts, is a column of `credential`: known_queries reads and writes them by name.
    fingerprint: str | None = None
    manifest_digest: str | None = None
    state: CredentialState = CredentialState.OK
    detail: str = ""
    state_since: datetime | None = None
    was_invalid: bool = False
    suspect_state: CredentialState | None = None
    suspect_since: datetime | None = None
    suspect_looks: int = 0
    suspect_fingerprint: str | None = None
    baseline_at: datetime | None = None
    last_checked_at: datetime | None = None
    last_full_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """A credential's permissions by status. One that is missing or suspect can also be undecided at present."""

    granted: int = 0
    missing: int = 0
    undecided: int = 0
    unchecked: int = 0
    suspects: int = 0
    carried: int = 0
    excess: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """Everything remembered about one credential: permissions by id, excess by endpoint."""

    credential: KnownCredential = field(default_factory=KnownCredential)
    permissions: Mapping[str, KnownPermission] = field(default_factory=dict)
    excess: Mapping[str, KnownExcess] = field(default_factory=dict)

    @property
    def counts(self) -> Counts:
        known = self.permissions.values()
        return Counts(
            granted=sum(s.verdict is Verdict.GRANTED for s in known),
            missing=sum(s.missing for s in known),
            undecided=sum(s.undecided_as is Verdict.UNDECIDED for s in known),
            unchecked=sum(s.undecided_as is Verdict.NOT_CHECKABLE for s in known),
            suspects=sum(s.suspect for s in known),
            carried=sum(s.carried for s in known),
            excess=len(self.excess),
        )

    @property
    def outcome(self) -> Outcome:
        """The outcome in confirmed terms: a suspicion alone is no drift."""
        if self.credential.state is not CredentialState.OK:
            return Outcome.FAILED
        if any(s.missing for s in self.permissions.values()):
            return Outcome.DRIFTED
        return Outcome.UNDECIDED if any(s.open for s in self.permissions.values()) else Outcome.COMPLIANT
