"""A look of `check --record`: taken up and written down as `serve` does, so that neither overwrites the other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.check_request import CheckRequest
from checks.report import CheckReport
from monitor.checking import claim_queries
from monitor.checking.check_job import give_back
from monitor.checking.check_once import Task
from monitor.checking.claim_queries import Claim
from monitor.checking.greenhouse import Greenhouse
from monitor.checking.recording_queries import record
from monitor.checking.write_halt import StoredWriteGuard, WriteStop
from monitor.drift import DriftPolicy
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader


@dataclass(frozen=True, slots=True)
class RecordedCheck:
    db: Database
    greenhouse: Greenhouse
    loader: CredentialLoader
    drift_policy: DriftPolicy
    write_stop: WriteStop
    hold: timedelta
    now: Callable[[], datetime]

    async def __call__(self, task: Task, question: CheckRequest) -> tuple[CheckReport, str]:
        """ConfigurationError if the credential is not recorded, or was taken up by a running service meanwhile."""
        claim = await self._claim(task)
        try:
            return await self._look(task, question, claim)
        except BaseException:
            await give_back(self.db, claim, self.now())
            raise

    async def _look(self, task: Task, question: CheckRequest, claim: Claim) -> tuple[CheckReport, str]:
        opened = await self.loader.load(task.tenant_id, task.config)
        mark = self.loader.fingerprint(opened)
        asked = replace(question, remembered=question.remembered | claim.remembered(mark))
        guard = StoredWriteGuard(self.write_stop, claim)
        report = await self.greenhouse.check(task.tenant_id, opened, asked, task.permitted, guard)
        if await record(self.db, claim, report, mark, self.now(), self.drift_policy) is None:
            raise ConfigurationError(
                "not recorded: a running service took this credential up meanwhile; read `history`"
            )
        return report, mark

    async def _claim(self, task: Task) -> Claim:
        now = self.now()
        async with self.db.writing() as conn:
            number = await claim_queries.number(conn, task.tenant_id, task.label)
            claim = number and await claim_queries.claim(
                conn, number, now, self.drift_policy.interval, held_until=now + self.hold
            )
        if not claim:
            raise ConfigurationError("not recorded: the database has no such credential; run `tenants sync` first")
        return claim
