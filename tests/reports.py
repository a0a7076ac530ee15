"""Short ways to write the reports of checks that tests need."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from checks.credential import CredentialState
from checks.report import PAUSED, CheckReport, Excess, Finding, Verdict
from monitor.drift import DriftPolicy

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POLICY = DriftPolicy(confirm_after=MINUTE, interval=4 * HOUR)
RETIRED_SOON = replace(POLICY, retired_after=MINUTE)
KEY, OTHER_KEY = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
DIGEST = "d" * 16

LETTERS = {
    "g": Verdict.GRANTED,
    "m": Verdict.MISSING,
    "u": Verdict.UNDECIDED,
    "n": Verdict.NOT_CHECKABLE,
}


def finding(permission_id: str, verdict: Verdict, *, declined: bool = False, reason: str = "") -> Finding:
    return Finding(
        permission_id=permission_id,
        group="Jobs",
        label=f"GET: {permission_id}",
        verdict=verdict,
        rule="V18",
        reason=reason,
        endpoint=f"GET /v1/{permission_id}",
        declined=declined,
    )


def served(
    verdicts: Mapping[str, str],
    *,
    partial: bool = False,
    declined: Collection[str] = (),
    excess: Iterable[Excess] = (),
    no_excess: Collection[str] = (),
    digest: str = DIGEST,
) -> CheckReport:
    """A check that was answered: permission ids with `g`ranted, `m`issing, `u`ndecided or `n`ot checkable."""
    findings = tuple(finding(id_, LETTERS[letter], declined=id_ in declined) for id_, letter in verdicts.items())
    return CheckReport(
        manifest_name="small",
        manifest_version="1",
        manifest_digest=digest,
        state=CredentialState.OK,
        detail="",
        findings=findings,
        excess=tuple(excess),
        no_excess=frozenset(no_excess),
        refused=frozenset(f.endpoint for f in findings if f.endpoint and f.verdict is Verdict.MISSING),
        started_at=T0,
        requests=len(findings),
        duration_seconds=1.5,
        partial=partial,
    )


def paused(verdicts: Collection[str] = ("jobs",), *, partial: bool = False) -> CheckReport:
    """A check that was paused from outside; what it says about permissions is void."""
    findings = tuple(finding(id_, Verdict.UNDECIDED, reason=PAUSED) for id_ in verdicts)
    return replace(served({}, partial=partial), detail=PAUSED, findings=findings, requests=1)


def failed(state: CredentialState, detail: str = "", *, partial: bool = False) -> CheckReport:
    """A check in which the credential as a whole failed; what it says about permissions is void."""
    return CheckReport(
        manifest_name="small",
        manifest_version="1",
        manifest_digest=DIGEST,
        state=state,
        detail=detail,
        findings=(finding("jobs", Verdict.UNDECIDED, reason=state.value),),
        started_at=T0,
        requests=1,
        partial=partial,
    )


LOOKS_RETIRED = failed(CredentialState.UNREACHABLE, "looks_retired")
