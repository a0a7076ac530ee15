"""What the answers to a key's requests come to: findings, excess and refusals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from checks.catalogue.entry import Entry, RequestClass, WriteProbes
from checks.catalogue.offered import by_request
from checks.check_request import CheckRequest
from checks.credential import CredentialState
from checks.judgement import Judgement
from checks.manifest import Permission
from checks.report import CheckReport, Excess, Verdict, WriteAlarm
from checks.report_builder import ReportBuilder
from checks.v1.verdicts import Evidence, KeyRule, judge, refused


def writes_off_reason(permitted: WriteProbes) -> str:
    """Why a write probe is not sent under this setting."""
    return "writes_off" if permitted is WriteProbes.OFF else "writes_without_id_off"


@dataclass(frozen=True)
class KeyReport:
    """`wanted` are the permissions that are judged, `outside` those of features that the tenant does not have."""

    request: CheckRequest
    permitted: WriteProbes
    evidence: Evidence
    wanted: Sequence[Permission]
    outside: Sequence[Permission]
    alarms: tuple[WriteAlarm, ...]

    def build(self, state: CredentialState, detail: str) -> CheckReport:
        builder = ReportBuilder(self.request, state, detail, KeyRule.NOT_ASKED)
        # A check that proves nothing must not leave refusals behind, which count as controls for 30 days.
        served = builder.void is None
        return builder.build(
            builder.findings(self.wanted, self._judge),
            excess=self._excess() if served else (),
            no_excess=self._no_excess() if served else frozenset(),
            refused=self._refused() if served else frozenset(),
            alarms=self.alarms,
            partial=self.request.only is not None,
        )

    def _judge(self, permission: Permission) -> Judgement:
        if permission.endpoint is None:
            return Judgement(KeyRule.NO_ENDPOINT, "no_endpoint")
        entry = self.evidence.catalogue.entry(permission.endpoint)
        if entry.is_write and not self.permitted.allows(entry.needs):
            return Judgement(KeyRule.WRITES_OFF, writes_off_reason(self.permitted))
        return judge(entry, self.evidence)

    @cached_property
    def _not_required(self) -> list[tuple[Entry, Judgement]]:
        """Everything that a full check asked and the tenant's permissions do not name."""
        if self.request.only is not None:
            return []
        asked = [endpoint for endpoint in self.evidence.answers if endpoint not in self.evidence.required]
        entries = map(self.evidence.catalogue.entry, asked)
        return [(entry, judge(entry, self.evidence)) for entry in entries]

    def _excess(self) -> tuple[Excess, ...]:
        labels = {p.endpoint: p.label for p in self.outside if p.endpoint is not None}
        return tuple(
            Excess(
                label=labels.get(entry.endpoint) or by_request()[entry.endpoint].label,
                endpoint=entry.endpoint,
                # A list's data is proof by itself; any other grant is inferred.
                certain=entry.request_class is RequestClass.LIST,
            )
            for entry, judgement in self._not_required
            if judgement.verdict is Verdict.GRANTED
        )

    def _no_excess(self) -> frozenset[str]:
        return frozenset(entry.endpoint for entry, judged in self._not_required if judged.verdict is Verdict.MISSING)

    def _refused(self) -> frozenset[str]:
        """Of the controls, too: where one of them passes later, an earlier refusal proves less."""
        entries = map(self.evidence.catalogue.entry, self.evidence.answers)
        return frozenset(entry.endpoint for entry in entries if refused(entry, self.evidence))
