"""Checking tenants now, because a person asks for it: at most every ten minutes each."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitor.checking import recheck_queries
from monitor.checking.recheck_queries import RecheckProgress, TenantToCheck
from monitor.store import audit_log
from monitor.store.database import Database

AT_MOST_EVERY = timedelta(minutes=10)
BEGINS_WITHIN = timedelta(minutes=1)  # a service that runs begins a due check within a second, unless many are due


class Recheck(StrEnum):
    ASKED = "asked"
    TOO_SOON = "too_soon"
    UNKNOWN = "unknown"
    REMOVED = "removed"
    PAUSED = "paused"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class RecheckAnswer:
    """`again_at` is when a check may be asked for again, also where it was asked for now."""

    result: Recheck
    message: str
    again_at: datetime | None = None

    @property
    def asked(self) -> bool:
        return self.result is Recheck.ASKED


class Waited(StrEnum):
    DONE = "done"
    NOT_BEGUN = "not_begun"
    NOT_DONE = "not_done"


async def ask(
    db: Database, tenant_ids: Collection[str], who: str, reason: str, now: datetime
) -> Mapping[str, RecheckAnswer]:
    """Make the credentials of these tenants due, where that is allowed, and note who asked; answers by tenant.

    A check that runs already is not begun anew: what it finds is the result.
    """
    async with db.writing() as conn:
        found = await recheck_queries.tenants(conn, tenant_ids, recently=now - AT_MOST_EVERY, now=now)
        answers = {tenant_id: answer(found.get(tenant_id), now) for tenant_id in tenant_ids}
        asked = sorted(tenant_id for tenant_id, given in answers.items() if given.asked)
        await recheck_queries.make_due(conn, asked, now)
        for tenant_id in asked:
            action = recheck_queries.ACTION
            await audit_log.note(conn, who=who, action=action, subject=tenant_id, reason=reason, now=now)
    return answers


def answer(tenant: TenantToCheck | None, now: datetime) -> RecheckAnswer:
    """The first reason against it, if there is one."""
    if tenant is None:
        return RecheckAnswer(Recheck.UNKNOWN, "no such tenant is recorded; `harvest-monitor tenants list` shows all")
    if tenant.removed:
        return RecheckAnswer(Recheck.REMOVED, "it is no longer in the tenants file: add it there, and it is checked")
    if tenant.paused:
        return RecheckAnswer(Recheck.PAUSED, "it is paused in the tenants file: remove `paused` there first")
    if not tenant.credentials:
        return RecheckAnswer(
            Recheck.MISCONFIGURED, f"it has nothing to check with: {tenant.problem or 'no credential'}"
        )
    last = max((moment for moment in (tenant.checked_at, tenant.asked_at) if moment is not None), default=None)
    if last is None:
        return RecheckAnswer(Recheck.ASKED, "its check is due now", now + AT_MOST_EVERY)
    what = "asked for" if last == tenant.asked_at else "checked"
    again_at = last + AT_MOST_EVERY
    message = f"it was {what} less than ten minutes ago: ask again at {again_at:%H:%M:%S} UTC"
    return RecheckAnswer(Recheck.TOO_SOON, message, again_at)


async def wait(
    db: Database,
    asked: Collection[str],
    asked_at: datetime,
    longest: timedelta,
    sleep: Callable[[float], Awaitable[None]],
    seen: Callable[[RecheckProgress], None],
) -> Waited:
    """Until every credential of these tenants was checked, at most `longest`; less if no check begins at all."""
    for second in range(int(longest.total_seconds()) + 1):
        async with db.reading() as conn:
            progress = await recheck_queries.progress(conn, asked, asked_at)
        seen(progress)
        if progress.done == progress.credentials:
            return Waited.DONE
        if progress.begun == 0 and second >= BEGINS_WITHIN.total_seconds():
            return Waited.NOT_BEGUN
        await sleep(1)
    return Waited.NOT_DONE
