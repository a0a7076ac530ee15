"""A check under a claim: recorded if the claim is still the newest, given back if anything breaks."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from checks.report import CheckReport
from monitor.checking import claim_queries
from monitor.checking.check_limits import CheckLimits
from monitor.checking.claim_queries import Claim
from monitor.checking.recording_queries import Recorded, record
from monitor.drift import DriftPolicy
from monitor.errors import StoreError
from monitor.store.database import Database

Fingerprint = TypeVar("Fingerprint", str, str | None)
"""That of the secret a check was made with; None where no secret could be loaded."""


@dataclass(frozen=True, slots=True)
class RecordedCheck:
    db: Database
    policy: DriftPolicy
    limits: CheckLimits
    now: Callable[[], datetime]
    clock: Callable[[], float]

    async def run(
        self, claim: Claim, check: Callable[[], Awaitable[tuple[CheckReport, Fingerprint]]]
    ) -> tuple[CheckReport, Fingerprint, Recorded | None]:
        """Report, fingerprint, and what was recorded: None if nothing, because somebody else claimed it meanwhile.

        A check that outlasted its limits slept on the way: what it saw is old, and is not recorded.
        """
        began = self.clock()
        try:
            report, fingerprint = await check()
            if self.clock() - began > self.limits.longest.total_seconds():
                await self._give_back(claim)
                return report, fingerprint, None
            return report, fingerprint, await record(self.db, claim, report, fingerprint, self.now(), self.policy)
        except BaseException:  # a cancelled check, too, is due again now and not when its lease runs out
            await self._give_back(claim)
            raise

    async def claim_due(self, credential_id: int) -> Claim | None:
        """None if somebody else has claimed the credential since it was seen due."""
        now = self.now()
        async with self.db.writing() as conn:
            return await claim_queries.claim_due(
                conn, credential_id, now, self.policy.interval, leased_until=now + self.limits.lease
            )

    async def claim(self, tenant_id: str, label: str) -> Claim | None:
        """Due or not; None if the database has no such credential."""
        now = self.now()
        async with self.db.writing() as conn:
            credential_id = await claim_queries.id_of(conn, tenant_id, label)
            if credential_id is None:
                return None
            return await claim_queries.claim(
                conn, credential_id, now, self.policy.interval, leased_until=now + self.limits.lease
            )

    async def _give_back(self, claim: Claim) -> None:
        """Due again at once, if the database lets us; otherwise the lease runs out."""
        with suppress(SQLAlchemyError, StoreError, OSError):
            async with self.db.writing() as conn:
                await claim_queries.release(conn, claim, self.now())
