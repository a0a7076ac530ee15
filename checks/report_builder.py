"""From judgements to a report: what every report of either kind of credential holds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.judgement import Judgement, Rule
from checks.manifest import Manifest, Permission
from checks.report import MOST_EVIDENCE, PAUSED, CheckReport, Finding, Verdict


@dataclass(frozen=True, slots=True)
class ReportBuilder:
    """`not_asked` is the rule for a permission that stays undecided because the credential as a whole failed."""

    request: CheckRequest
    state: CredentialState
    detail: str
    not_asked: Rule

    @property
    def void(self) -> str | None:
        """Why all verdicts of the check are void, if they are: a key of reasons.REASONS."""
        if self.detail == PAUSED:
            return PAUSED
        match self.state:
            case CredentialState.OK:
                return None
            case CredentialState.INVALID:
                return "invalid_key"
        return self.state.value

    def findings(
        self, permissions: Iterable[Permission], judge: Callable[[Permission], Judgement]
    ) -> tuple[Finding, ...]:
        return tuple(self._finding(permission, judge(permission)) for permission in permissions)

    def build(self, findings: tuple[Finding, ...], **more: Any) -> CheckReport:
        """`more` are the fields of a report that only one kind of credential has."""
        return _report(self.request.manifest, self.state, self.detail, findings=findings, **more)

    def _finding(self, permission: Permission, judgement: Judgement) -> Finding:
        # What cannot be asked is no doubt about Greenhouse: it stays not_checkable, whatever the credential's state.
        if self.void is not None and judgement.verdict is not Verdict.NOT_CHECKABLE:
            judgement = Judgement(self.not_asked, self.void)
        return Finding(
            permission_id=permission.id,
            group=permission.group,
            label=permission.label,
            verdict=judgement.verdict,
            rule=judgement.rule.number,
            reason=judgement.reason,
            endpoint=permission.endpoint,
            mapping=permission.mapping if permission.mapping != "exact" else None,
            declined=permission.id in self.request.declined,
            scopes=permission.scopes,
            answered_status=judgement.status,
            evidence=judgement.evidence[:MOST_EVIDENCE],
            more_evidence=max(0, len(judgement.evidence) - MOST_EVIDENCE),
        )


def misconfigured(manifest: Manifest, detail: str, now: datetime) -> CheckReport:
    """The report of a credential that cannot be tried; `detail` says what is wrong and what to do."""
    return _report(manifest, CredentialState.MISCONFIGURED, detail, started_at=now)


def not_loaded(manifest: Manifest, now: datetime) -> CheckReport:
    """The report of a credential whose secret could not be read this time."""
    return _report(manifest, CredentialState.UNREACHABLE, "secret_source", started_at=now)


def _report(manifest: Manifest, state: CredentialState, detail: str, **more: Any) -> CheckReport:
    return CheckReport(
        manifest_name=manifest.name,
        manifest_version=manifest.version,
        manifest_digest=manifest.digest,
        state=state,
        detail=detail,
        **{"findings": (), **more},
    )
