"""What one check found: the values that `checks` returns to its caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.credential import CredentialState


class Verdict(StrEnum):
    GRANTED = "granted"
    MISSING = "missing"
    UNDECIDED = "undecided"
    NOT_CHECKABLE = "not_checkable"


PAUSED = "paused"
"""Reason and detail of a check that was ended from outside before it was done."""

LOOKS_RETIRED = "looks_retired"
"""Detail of an unreachable v1 key whose answers are those of a retired API; how long they have been, one check cannot
know, and a maintenance answers alike."""


class Outcome(StrEnum):
    """One word for a whole check: the first of these that applies, from the top."""

    FAILED = "failed"
    DRIFTED = "drifted"
    UNDECIDED = "undecided"
    COMPLIANT = "compliant"


MOST_EVIDENCE = 6
"""Of the endpoints that a verdict rests on: a key that lacks everything would name thirty for each permission."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one permission of the manifest. `rule` is the number of docs/verdicts.md, such as `V20`.

    `answered_status` is that of the answer that was judged, None where none was. `evidence` are the endpoints that
    vouched for the verdict or left it undecided, the first MOST_EVIDENCE of them; `more_evidence` counts the rest.
    """

    permission_id: str
    group: str
    label: str
    verdict: Verdict
    rule: str
    reason: str
    endpoint: str | None
    mapping: str | None = None
    declined: bool = False
    scopes: tuple[str, ...] = ()
    answered_status: int | None = None
    evidence: tuple[str, ...] = ()
    more_evidence: int = 0


@dataclass(frozen=True, slots=True)
class Excess:
    """Something the credential may do and the manifest does not ask for, by its endpoint, or by its scope.

    `certain` is true for lists and scopes only.
    """

    label: str
    endpoint: str
    certain: bool


@dataclass(frozen=True, slots=True)
class WriteAlarm:
    """A write probe was answered as no probe should be; `stops` is `all` writes or those `without_id`."""

    endpoint: str
    status: int
    at: datetime
    request_id: str | None
    record_id: str | None
    stops: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check of one credential at one time under one manifest digest.

    `partial` is true for a check of suspects: `findings` then holds the suspects only. `refused` are the endpoints
    answered by the permission text, controls included. `no_excess` are endpoints outside the manifest seen refused;
    where `excess_is_whole`, there is no excess but what `excess` names. `provisional` says that what was asked for is
    derived and not the vendor's own list. `connection_failure` says in a sentence, with the names of server, proxy and
    certificate, what `detail` says as a code; empty where there was a connection.
    `requests` counts every request on the wire, repeats included.
    """

    manifest_name: str
    manifest_version: str
    manifest_digest: str
    state: CredentialState
    detail: str
    findings: tuple[Finding, ...]
    excess: tuple[Excess, ...] = ()
    no_excess: frozenset[str] = frozenset()
    excess_is_whole: bool = False
    refused: frozenset[str] = frozenset()
    alarms: tuple[WriteAlarm, ...] = ()
    started_at: datetime | None = None
    requests: int = 0
    duration_seconds: float = 0.0
    partial: bool = False
    provisional: bool = False
    connection_failure: str = ""

    @property
    def paused(self) -> bool:
        """It was ended from outside: nothing follows from it, and it is repeated."""
        return self.detail == PAUSED

    @property
    def looks_retired(self) -> bool:
        return self.detail == LOOKS_RETIRED

    @property
    def outcome(self) -> Outcome:
        if self.paused:
            return Outcome.UNDECIDED
        if self.state is not CredentialState.OK:
            return Outcome.FAILED
        required = [finding.verdict for finding in self.findings if not finding.declined]
        if Verdict.MISSING in required:
            return Outcome.DRIFTED
        # not_checkable does not count: one line without an endpoint would keep every tenant from being compliant.
        return Outcome.UNDECIDED if Verdict.UNDECIDED in required else Outcome.COMPLIANT

    @property
    def nothing_refused(self) -> bool:
        """A key of v1 was refused nothing, controls included, which left some of it undecided.

        Perhaps it may do everything. It would be answered so, too, if Greenhouse looked for records first.
        """
        return not self.refused and any(finding.reason == "no_refusal" for finding in self.findings)

    @property
    def unchecked(self) -> int:
        return sum(finding.verdict is Verdict.NOT_CHECKABLE for finding in self.findings)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        return {verdict: sum(f.verdict is verdict for f in self.findings) for verdict in Verdict}

    @property
    def missing(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.verdict is Verdict.MISSING and not f.declined)
