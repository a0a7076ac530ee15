"""The checks that a one-shot makes of one credential until nothing is in doubt: pure.

Drift decides, exactly as in the service, what is suspect, what a second check confirms, and what to ask again.
"""

from dataclasses import replace
from datetime import datetime

from checks.credential import CredentialState
from checks.judgement import SharedRule
from checks.report import CheckReport, Finding, Verdict
from monitor.drift import DriftPolicy, Known, compare
from monitor.drift.suspicion import Suspicion

MOST_CHECKS = 4  # a key may be refused, then replaced, then lack something
_CONFIRMED = frozenset({CredentialState.INVALID, CredentialState.BLOCKED, CredentialState.MISCONFIGURED})
"""States that a second check confirms; `unreachable` is reported as it is seen, also where it looks retired: a one-shot
does not wait for the hour that would decide."""


class Confirmation:
    def __init__(self, policy: DriftPolicy) -> None:
        self._policy = policy
        self._known = Known()
        self._refused: frozenset[str] = frozenset()
        self._checks: list[CheckReport] = []
        self._merged: CheckReport | None = None

    def add(self, report: CheckReport, fingerprint: str, now: datetime) -> None:
        change = compare(self._known, report, fingerprint, now, self._policy)
        self._known = change.known
        self._refused = change.refused if change.replaced else self._refused | change.refused
        self._merged = report if self._merged is None else _merge(self._merged, report)
        self._checks.append(report)

    @property
    def suspicion(self) -> Suspicion:
        """What the next check is limited to."""
        return Suspicion.of(self._known, self._refused)

    @property
    def in_doubt(self) -> bool:
        """Another check may still decide something that was seen once."""
        if not 0 < len(self._checks) < MOST_CHECKS or self._checks[-1].paused:
            return False
        if self._known.credential.suspect_state is not None:
            return self._known.credential.suspect_state in _CONFIRMED
        if self._known.credential.state is not CredentialState.OK:
            return False
        # Exactly 1: what a second check could not decide is reported as unconfirmed, not asked a third time.
        return any(permission.suspect_looks == 1 for permission in self._known.permissions.values())

    @property
    def report(self) -> CheckReport:
        """All checks as one. What is still suspect is undecided: it was never seen missing twice."""
        assert self._merged is not None, "no check was added"
        findings = tuple(map(self._confirmed, self._merged.findings))
        return replace(
            self._merged,
            findings=findings,
            requests=sum(check.requests for check in self._checks),
            duration_seconds=sum(check.duration_seconds for check in self._checks),
            alarms=tuple(alarm for check in self._checks for alarm in check.alarms),
            started_at=self._checks[0].started_at,
        )

    def _confirmed(self, finding: Finding) -> Finding:
        known = self._known.permissions.get(finding.permission_id)
        if known is None or not known.suspect:
            return finding
        return replace(finding, verdict=Verdict.UNDECIDED, rule=SharedRule.UNCONFIRMED.number, reason="unconfirmed")


def _merge(before: CheckReport, now: CheckReport) -> CheckReport:
    """A full check replaces all findings, a check of suspects only theirs."""
    if now.partial:
        changed = {finding.permission_id: finding for finding in now.findings}
        return replace(before, findings=tuple(changed.get(f.permission_id, f) for f in before.findings))
    # Introspection failed in the second check: that says nothing about excess.
    if now.state is CredentialState.OK and before.excess_is_whole and not now.excess_is_whole:
        return replace(now, excess=before.excess)
    return now
