"""A look of `check --record`: taken up and written down as `serve` does, so that neither overwrites the other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.question import Question
from checks.report import CheckReport
from monitor.drift import Policy
from monitor.errors import ConfigurationError
from monitor.greenhouse import Greenhouse
from monitor.keyring import Keyring
from monitor.one_shot import Task
from monitor.store import credentials
from monitor.store.credentials import Claim
from monitor.store.database import Database
from monitor.store.recording import record
from monitor.sweep import give_back
from monitor.write_guards import StoredWriteGuard, WriteStop


@dataclass(frozen=True, slots=True)
class RecordedLook:
    db: Database
    greenhouse: Greenhouse
    keyring: Keyring
    drift_policy: Policy
    write_stop: WriteStop
    hold: timedelta
    now: Callable[[], datetime]

    async def __call__(self, task: Task, question: Question) -> tuple[CheckReport, str]:
        """ConfigurationError if the credential is not recorded, or was taken up by a running service meanwhile."""
        claim = await self._claim(task)
        try:
            return await self._look(task, question, claim)
        except BaseException:
            await give_back(self.db, claim, self.now())
            raise

    async def _look(self, task: Task, question: Question, claim: Claim) -> tuple[CheckReport, str]:
        opened = await self.keyring.open(task.tenant_id, task.config)
        mark = self.keyring.mark(opened)
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
            number = await credentials.number(conn, task.tenant_id, task.label)
            claim = number and await credentials.claim(
                conn, number, now, self.drift_policy.interval, held_until=now + self.hold
            )
        if not claim:
            raise ConfigurationError("not recorded: the database has no such credential; run `tenants sync` first")
        return claim
