"""One credential's check in a sweep: claim it, check it, record the result, count and log it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.errors import CredentialError, ManifestError
from checks.manifest import Manifest
from checks.report import CheckReport
from checks.report_builder import misconfigured, not_loaded
from monitor.checking.claim_queries import Claim
from monitor.checking.credential_check import CheckTask, CredentialCheck
from monitor.checking.recorded_check import RecordedCheck
from monitor.checking.recording_queries import Recorded
from monitor.checking.write_halt import SharedWriteGuard, SharedWriteHalt
from monitor.errors import ConfigurationError, SourceFailed
from monitor.metrics import Metrics
from monitor.tenants.declined import declined_ids
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import write_probes_allowed

log = structlog.get_logger()


class CheckJob:
    """Checks one credential at a time by its number; `registry` is replaced when the tenants file is read again.

    `setting` is how far write probes may go; a tenant may only lower it.
    """

    def __init__(
        self,
        recorded_check: RecordedCheck,
        credential_check: CredentialCheck,
        registry: ManifestRegistry,
        write_halt: SharedWriteHalt,
        metrics: Metrics,
        *,
        setting: WriteProbes,
        now: Callable[[], datetime],
    ) -> None:
        self.registry = registry
        self._recorded_check = recorded_check
        self._credential_check = credential_check
        self._write_halt = write_halt
        self._metrics = metrics
        self._setting = setting
        self._now = now

    async def check(self, credential_id: int) -> None:
        """Nothing if the credential is not due any more."""
        claim = await self._recorded_check.claim_due(credential_id)
        if claim is None:
            return
        report, _, recorded = await self._recorded_check.run(claim, partial(self._check, claim))
        self._account(claim, report, recorded)

    async def _check(self, claim: Claim) -> tuple[CheckReport, str | None]:
        # A report names a manifest, also where the credential's own cannot be read.
        manifest = self.registry.manifest(None)
        try:
            manifest = self.registry.manifest(claim.config.manifest)
            guard = SharedWriteGuard(self._write_halt, claim)
            return await self._credential_check.run(self._task(claim, manifest), claim.suspicion, guard)
        # Before ConfigurationError, of which it is one: what cannot be read now may be readable at the next check.
        except SourceFailed as problem:
            log.warning("secret_not_read", tenant=claim.tenant_id, credential=claim.label, problem=str(problem))
            return not_loaded(manifest, self._now()), None
        except (ConfigurationError, CredentialError, ManifestError) as problem:
            return misconfigured(manifest, str(problem), self._now()), None

    def _task(self, claim: Claim, manifest: Manifest) -> CheckTask:
        request = CheckRequest(manifest, claim.features, declined_ids(claim.declined, manifest))
        permitted = write_probes_allowed(self._setting, claim.write_probes)
        return CheckTask(claim.tenant_id, claim.config, request, permitted)

    def _account(self, claim: Claim, report: CheckReport, recorded: Recorded | None) -> None:
        if recorded is None:
            self._metrics.fenced()
            log.warning("fenced_check", tenant=claim.tenant_id, credential=claim.label)
            return
        self._metrics.checked(claim.config.kind, report)
        if report.detail == "foreign_organization":
            log.error("found_token_of_another_organization", tenant=claim.tenant_id, credential=claim.label)
        if report.paused:
            log.info("check_paused", tenant=claim.tenant_id, credential=claim.label, requests=report.requests)
            return
        log.info(
            "checked",
            tenant=claim.tenant_id,
            credential=claim.label,
            outcome=report.outcome.value,
            state=report.state.value,
            confirmed=recorded.outcome.value,
            events=[event.kind.value for event in recorded.events],
            requests=report.requests,
            seconds=round(report.duration_seconds, 1),
            next_due=recorded.next_due.isoformat(timespec="seconds"),
        )
