"""One credential's turn in a sweep: taken up, looked at, written down."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from checks.catalogue.endpoints import WriteProbes
from checks.check_request import CheckRequest, unfetched, untried
from checks.errors import CredentialError, ManifestError
from checks.manifest import Manifest
from checks.report import CheckReport
from checks.v3.verdicts import ROLE_ID
from monitor.checking import claim_queries
from monitor.checking.claim_queries import Claim
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.recording_queries import Recorded, record
from monitor.checking.write_halt import StoredWriteGuard, WriteStop
from monitor.drift import DriftPolicy
from monitor.errors import ConfigurationError, SourceFailed, StoreError
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.targets import write_probes_allowed

log = structlog.get_logger()


async def give_back(db: Database, claim: Claim, now: datetime) -> None:
    """What was not recorded is due again, as far as the database lets us; where it does not, the hold runs out."""
    with suppress(SQLAlchemyError, StoreError, OSError):
        async with db.writing() as conn:
            await claim_queries.release(conn, claim, now)


class CheckJob:
    """Checks one credential at a time by its number; `registry` is replaced when the tenants file is read again.

    `hold` is how long a credential that was taken up is left to whoever took it: longer than any check lasts. A look
    that took longer than `longest_look` slept on the way: what it saw is old, and is not written down.
    """

    def __init__(
        self,
        db: Database,
        greenhouse: Greenhouse,
        metrics: Metrics,
        registry: ManifestRegistry,
        *,
        setting: WriteProbes,
        drift_policy: DriftPolicy,
        write_stop: WriteStop,
        hold: timedelta,
        longest_look: timedelta,
        loader: CredentialLoader,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self.registry = registry
        self._db = db
        self._greenhouse = greenhouse
        self._metrics = metrics
        self._setting = setting
        self._drift_policy = drift_policy
        self._write_stop = write_stop
        self._hold = hold
        self._longest_look = longest_look
        self._loader = loader
        self._now = now
        self._clock = clock

    async def check(self, credential_id: int) -> None:
        """Take the credential up, look, write down what was found; nothing if somebody else has taken it up since."""
        now = self._now()
        async with self._db.writing() as conn:
            claim = await claim_queries.claim_due(
                conn, credential_id, now, self._drift_policy.interval, held_until=now + self._hold
            )
        if claim is None:
            return
        began = self._clock()
        try:
            report, mark = await self._look(claim)
            recorded = await self._write_down(claim, report, mark, self._clock() - began)
        except BaseException:
            await give_back(self._db, claim, self._now())
            raise
        self._account(claim, report, recorded)

    async def _look(self, claim: Claim) -> tuple[CheckReport, str | None]:
        """The report, and the fingerprint of the key it was made with; None where there was no key to use."""
        manifest = self.registry.manifest(None)
        try:
            manifest = self.registry.manifest(claim.config.manifest)
            opened = await self._loader.load(claim.tenant_id, claim.config)
            mark = self._loader.fingerprint(opened)
            permitted = write_probes_allowed(self._setting, claim.write_probes)
            guard = StoredWriteGuard(self._write_stop, claim)
            question = _question(claim, manifest, mark)
            return await self._greenhouse.check(claim.tenant_id, opened, question, permitted, guard), mark
        except SourceFailed as problem:
            log.warning("secret_command_failed", tenant=claim.tenant_id, credential=claim.label, problem=str(problem))
            return unfetched(manifest, self._now()), None
        except (ConfigurationError, CredentialError, ManifestError) as problem:
            return untried(manifest, str(problem), self._now()), None

    async def _write_down(self, claim: Claim, report: CheckReport, mark: str | None, seconds: float) -> Recorded | None:
        if seconds > self._longest_look.total_seconds():
            await give_back(self._db, claim, self._now())
            return None
        return await record(self._db, claim, report, mark, self._now(), self._drift_policy)

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


def _question(claim: Claim, manifest: Manifest, mark: str) -> CheckRequest:
    return CheckRequest(
        manifest=manifest,
        features=claim.features,
        declined=_declined(claim, manifest),
        remembered=claim.remembered(mark),
        only=claim.only(mark, manifest.digest),
    )


def _declined(claim: Claim, manifest: Manifest) -> frozenset[str]:
    """Ids of what the customer declined; rows name a permission by id or label, of whichever manifest of theirs."""
    wanted = frozenset(claim.declined)
    named = frozenset(p.id for p in manifest.permissions if p.id in wanted or p.label in wanted)
    return named | wanted & {ROLE_ID}
