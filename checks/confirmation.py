"""The second look: which trouble is looked at twice, and what two looks come to together: pure."""

from dataclasses import replace

from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.report import CheckReport, Finding, Verdict
from checks.v1.verdicts import Rule

_LOOKED_AT_TWICE = frozenset({CredentialState.INVALID, CredentialState.BLOCKED, CredentialState.RETIRED})


def second_look(question: CheckRequest, first: CheckReport) -> CheckRequest | None:
    """What to ask again; None where the first look stands. Missing permissions are asked alone, with their controls."""
    if first.state in _LOOKED_AT_TWICE:
        return question
    if first.state is not CredentialState.OK or not first.missing:
        return None
    suspects = frozenset(finding.permission_id for finding in first.missing)
    return replace(question, only=suspects, remembered=question.remembered | first.refused)


def settles(first: CheckReport, second: CheckReport) -> bool:
    """The second look, at the same key, says enough about what the first one saw; else something turned meanwhile."""
    if _shared(first, second):
        return True
    if second.partial:
        return second.state not in _LOOKED_AT_TWICE
    return second.state is first.state


def together(first: CheckReport, second: CheckReport) -> CheckReport:
    """Both looks as one report. A full second look stands for itself; a partial one decides on the suspects only."""
    merged = _unforgotten(first, second)
    if _shared(first, second):
        merged = first
    elif second.partial:
        decided = {finding.permission_id: _decided(finding) for finding in second.findings}
        merged = replace(first, findings=tuple(decided.get(f.permission_id, f) for f in first.findings))
    return replace(
        merged,
        requests=first.requests + second.requests,
        duration_seconds=first.duration_seconds + second.duration_seconds,
        alarms=first.alarms + second.alarms,
        started_at=first.started_at,
    )


def _unforgotten(first: CheckReport, second: CheckReport) -> CheckReport:
    """A full second look that can not tell what the first saw missing leaves it open, and takes nothing back."""
    if second.state is not CredentialState.OK:
        return second
    suspects = {finding.permission_id for finding in first.missing}
    findings = tuple(_decided(f, Verdict.NOT_CHECKABLE) if f.permission_id in suspects else f for f in second.findings)
    excess = second.excess if second.excess_is_whole or not first.excess_is_whole else first.excess
    return replace(second, findings=findings, excess=excess)


def _shared(first: CheckReport, second: CheckReport) -> bool:
    """Blocked, and then checks paused because of the trouble of many: that they share it confirms it."""
    return first.state is CredentialState.BLOCKED and second.paused


def _decided(finding: Finding, *open_too: Verdict) -> Finding:
    if finding.verdict not in (Verdict.UNDECIDED, *open_too):
        return finding
    return replace(finding, verdict=Verdict.UNDECIDED, rule=Rule.UNCONFIRMED.number, reason="unconfirmed")
