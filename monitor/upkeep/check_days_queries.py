"""Old checks, rolled up into one row for each credential and day."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from checks.report import PAUSED, Outcome
from monitor.store.statements import upsert
from monitor.store.tables import CHECK, CHECK_DAY, CREDENTIAL, DRIFT_EVENT
from monitor.upkeep.check_days import Day, merged

_DAY = timedelta(days=1)
_CHECK_COLUMNS = CHECK.c[
    "id", "credential_id", "started_at", "outcome", "state", "detail", "partial",
    "granted", "missing", "undecided", "excess", "requests", "duration_seconds",
]  # fmt: skip


async def roll_up(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Add the oldest checks that began before a moment, at most `limit`, to their days, and delete them.

    Returns how many. In the caller's transaction, so it does both or neither; nobody else may roll up meanwhile.
    """
    oldest = select(*_CHECK_COLUMNS).where(CHECK.c.started_at < before).order_by(CHECK.c.started_at).limit(limit)
    found = (await conn.execute(oldest)).all()
    if found:
        days = [_from_check(row) for row in found]
        stored = await _stored(conn, days)
        await upsert(conn, CHECK_DAY, [asdict(day) for day in merged([*stored, *days])])
        await _delete(conn, [row.id for row in found])
    return len(found)


async def count_old(conn: AsyncConnection, before: datetime) -> int:
    return int((await conn.execute(select(func.count()).where(CHECK.c.started_at < before))).scalar_one())


async def of_tenant(conn: AsyncConnection, tenant_id: str, first: date, last: date) -> dict[str, list[Day]]:
    """By credential label, the days on which it was checked between `first` and `last`, in order, rolled up or not.

    Includes removed credentials and tenants; empty for a tenant that never existed.
    """
    ours = select(CREDENTIAL.c.id, CREDENTIAL.c.label).where(CREDENTIAL.c.tenant_id == tenant_id)
    labels = {row.id: row.label for row in await conn.execute(ours.order_by(CREDENTIAL.c.label))}
    # Day by day: the primary key begins with the day, so a range of days would read those of every tenant.
    c, wanted = CHECK.c, _days(first, last)
    rolled_up = await conn.execute(
        select(CHECK_DAY).where(CHECK_DAY.c.day.in_(wanted), CHECK_DAY.c.credential_id.in_(labels))
    )
    begin, end = _midnight(first), _midnight(last) + _DAY
    not_yet = await conn.execute(
        select(*_CHECK_COLUMNS).where(c.credential_id.in_(labels), c.started_at >= begin, c.started_at < end)
    )
    days = merged([*map(_from_row, rolled_up), *map(_from_check, not_yet)])
    return {label: [day for day in days if day.credential_id == id_] for id_, label in labels.items()}


async def _stored(conn: AsyncConnection, days: Sequence[Day]) -> list[Day]:
    """The rows these will be added to."""
    c = CHECK_DAY.c
    credentials, keys = {day.credential_id for day in days}, {day.key for day in days}
    found = await conn.execute(
        select(CHECK_DAY).where(c.day.in_({day.day for day in days}), c.credential_id.in_(credentials))
    )
    return [day for day in map(_from_row, found) if day.key in keys]


async def _delete(conn: AsyncConnection, checks: Sequence[int]) -> None:
    """Events outlive the checks that found them."""
    await conn.execute(update(DRIFT_EVENT).where(DRIFT_EVENT.c.check_id.in_(checks)).values(check_id=None))
    await conn.execute(delete(CHECK).where(CHECK.c.id.in_(checks)))


def _from_row(row: Row[Any]) -> Day:
    values = {field.name: row._mapping[field.name] for field in fields(Day)}
    return Day(**{**values, "state": CredentialState(row.state)})


def _from_check(row: Row[Any]) -> Day:
    state = CredentialState(row.state)
    # A paused check was cut short and a partial one asked for suspects only: their counts are not the credential's.
    full = state is CredentialState.OK and row.detail != PAUSED and not row.partial
    return Day(
        day=row.started_at.date(),
        credential_id=row.credential_id,
        checks=1,
        drifted=int(row.outcome == Outcome.DRIFTED),
        undecided=int(row.outcome == Outcome.UNDECIDED),
        failed=int(row.outcome == Outcome.FAILED),
        state=state,
        least_granted=row.granted if full else None,
        most_missing=row.missing if full else None,
        most_undecided=row.undecided if full else None,
        most_excess=row.excess if full else None,
        requests=row.requests,
        seconds=round(row.duration_seconds),
    )


def _days(first: date, last: date) -> list[date]:
    return [first + number * _DAY for number in range((last - first).days + 1)]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
