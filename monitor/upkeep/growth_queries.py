"""How fast the database grows: the rows added lately, table by table."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, LargeBinary, Table, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.checking import claim_queries
from monitor.config.retention import SWEEPS_FOR, Keep
from monitor.store import sizes
from monitor.store.audit_tables import AUDIT_BATCH
from monitor.store.tables import (
    CAUSE,
    CHECK,
    CHECK_DAY,
    DRIFT_EVENT,
    INCIDENT,
    NOTICE,
    OPERATOR_ACTION,
    STATUS_CHANGE,
    SWEEP,
    TENANT,
    WRITE_HALT,
)
from monitor.upkeep.growth import DAY_ROW_BYTES, WINDOW, YOUNGEST, Growth

TEXTS = "notice (texts)"
_DAY = timedelta(days=1)
_DATED: dict[Table, ColumnElement[datetime]] = {
    CHECK: CHECK.c.started_at,
    DRIFT_EVENT: DRIFT_EVENT.c.at,
    INCIDENT: INCIDENT.c.opened_at,
    CAUSE: CAUSE.c.created_at,
    NOTICE: NOTICE.c.created_at,
    STATUS_CHANGE: STATUS_CHANGE.c.at,
    SWEEP: SWEEP.c.started_at,
    WRITE_HALT: WRITE_HALT.c.at,
    OPERATOR_ACTION: OPERATOR_ACTION.c.at,
    AUDIT_BATCH: AUDIT_BATCH.c.created_at,
}
"""The tables that grow with time. The others grow with the number of tenants, and are assumed to stay as they are."""


async def growth(conn: AsyncConnection, keep: Keep, now: datetime) -> list[Growth]:
    """Every table, with the texts of notices apart from the rest of theirs. Reads everything, so it takes a while.

    `now` is the service's last sign of life: the rate is measured up to then.
    """
    kept_days = {CHECK.name: keep.checks / _DAY, SWEEP.name: SWEEPS_FOR / _DAY}
    if keep.history is not None:
        kept_days |= dict.fromkeys((DRIFT_EVENT.name, OPERATOR_ACTION.name), keep.history / _DAY)
    a_day = await _rows_a_day(conn, now)
    growths = []
    for size in await sizes.of_tables(conn):
        rate = None if a_day is None else a_day.get(size.name, 0.0)
        first = DAY_ROW_BYTES if size.name == CHECK_DAY.name else 0.0
        one = Growth(size.name, size.rows, size.bytes, rate, kept_days.get(size.name), first)
        growths += await _split_texts(conn, one, keep) if one.name == NOTICE.name else [one]
    return growths


async def _rows_a_day(conn: AsyncConnection, now: datetime) -> dict[str, float] | None:
    """By table, lately; None for a database that is too young."""
    first = (await conn.execute(select(func.min(TENANT.c.created_at)))).scalar_one()
    if first is None or now - first < YOUNGEST:
        return None
    since = max(first, now - WINDOW)
    rates = {}
    for table, moment in _DATED.items():
        added = select(func.count()).where(moment >= since, moment <= now)
        rates[table.name] = (await conn.execute(added)).scalar_one() / ((now - since) / _DAY)
    # One row for each credential and day, also in the first weeks, when nothing is rolled up yet.
    return {**rates, CHECK_DAY.name: float(await claim_queries.count_checked(conn))}


async def _split_texts(conn: AsyncConnection, notices: Growth, keep: Keep) -> list[Growth]:
    """The texts of notices, which are pruned, apart from the rest, which is not."""
    # As bytes: the length of a text is in characters.
    length = func.length(cast(NOTICE.c.text, LargeBinary)) + func.length(cast(NOTICE.c.html, LargeBinary))
    statement = select(func.count(), func.coalesce(func.sum(length), 0)).where(NOTICE.c.text != "")
    rows, in_texts = (await conn.execute(statement)).one()
    # Postgres compresses long texts, so they may add up to more than their table.
    texts = None if notices.bytes is None else min(int(in_texts), notices.bytes)
    rest = None if notices.bytes is None or texts is None else notices.bytes - texts
    return [
        Growth(notices.name, notices.rows, rest, notices.rows_a_day),
        Growth(TEXTS, rows, texts, notices.rows_a_day, keep.notice_texts / _DAY),
    ]
