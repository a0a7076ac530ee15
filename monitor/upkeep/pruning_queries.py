"""Which rows are old, by rule: counting them, and pruning them in batches. docs/database.md explains the rules."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, func, literal_column, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.retention import KeepRule
from monitor.notices.notice import Status
from monitor.store.statements import PRUNE_LOCK, one_at_a_time
from monitor.store.tables import CHECK, DRIFT_EVENT, NOTICE, REFUSAL, SWEEP
from monitor.upkeep import check_days_queries
from monitor.upkeep.audit import history_pruning_queries


async def stale(conn: AsyncConnection, rule: KeepRule, before: datetime) -> int:
    """How many rows a rule would delete or empty."""
    if rule is KeepRule.HISTORY:
        return await history_pruning_queries.count_old(conn, before)
    return await _RULES[rule].count(conn, before)


async def span(conn: AsyncConnection, rule: KeepRule) -> tuple[datetime | None, datetime | None]:
    """The oldest and the newest date among the rows of a rule; None if there are none."""
    moment, concerned = _DATED[rule]
    ends = (await conn.execute(select(func.min(moment), func.max(moment)).where(concerned))).one()
    return ends[0], ends[1]


async def prune(conn: AsyncConnection, rule: KeepRule, before: datetime, limit: int) -> int:
    """Prune up to `limit` rows in the caller's transaction; returns how many. No two processes take the same rows.

    Of any rule but HISTORY, which a HistoryPruner prunes by signed batches.
    """
    await one_at_a_time(conn, PRUNE_LOCK)
    return await _RULES[rule].prune(conn, before, limit)


@dataclass(frozen=True, slots=True)
class _Rule:
    count: Callable[[AsyncConnection, datetime], Awaitable[int]]
    prune: Callable[[AsyncConnection, datetime, int], Awaitable[int]]


def _deleting(table: Table, old: Callable[[datetime], ColumnElement[bool]]) -> _Rule:
    key = tuple_(*table.primary_key)

    async def count(conn: AsyncConnection, before: datetime) -> int:
        return int((await conn.execute(select(func.count()).select_from(table).where(old(before)))).scalar_one())

    async def prune(conn: AsyncConnection, before: datetime, limit: int) -> int:
        # A subquery: Postgres has no DELETE … LIMIT, and SQLite only if it was compiled in.
        batch = select(*table.primary_key).where(old(before)).limit(limit)
        return (await conn.execute(delete(table).where(key.in_(batch)))).rowcount

    return _Rule(count, prune)


# The empty text is a literal and the status is given by exclusion, so that SQLite uses the index of notices with a text
# and not that of all notices ever sent.
_TEXT_OF_DONE = (NOTICE.c.text != literal_column("''")) & NOTICE.c.status.not_in(
    set(Status) - {Status.SENT, Status.DROPPED}
)


def _old_text(before: datetime) -> ColumnElement[bool]:
    """The text of an old notice that was sent or dropped; one that failed can still be sent again."""
    c = NOTICE.c
    # Nothing is sent before it is created: created_at is compared for the index, and coalesce() decides.
    return _TEXT_OF_DONE & (c.created_at < before) & (func.coalesce(c.sent_at, c.created_at) < before)


async def _count_texts(conn: AsyncConnection, before: datetime) -> int:
    return int((await conn.execute(select(func.count()).where(_old_text(before)))).scalar_one())


async def _empty_texts(conn: AsyncConnection, before: datetime, limit: int) -> int:
    batch = select(NOTICE.c.id).where(_old_text(before)).limit(limit)
    return (await conn.execute(update(NOTICE).where(NOTICE.c.id.in_(batch)).values(text="", html=""))).rowcount


_RULES: Mapping[KeepRule, _Rule] = {
    KeepRule.CHECKS: _Rule(check_days_queries.count_old, check_days_queries.roll_up),
    KeepRule.NOTICE_TEXTS: _Rule(_count_texts, _empty_texts),
    KeepRule.REFUSALS: _deleting(REFUSAL, lambda before: REFUSAL.c.seen_at < before),
    KeepRule.SWEEPS: _deleting(SWEEP, lambda before: SWEEP.c.started_at < before),
}

_DATED: Mapping[KeepRule, tuple[ColumnElement[datetime], ColumnElement[bool]]] = {
    KeepRule.CHECKS: (CHECK.c.started_at, true()),
    KeepRule.NOTICE_TEXTS: (NOTICE.c.created_at, _TEXT_OF_DONE),
    KeepRule.REFUSALS: (REFUSAL.c.seen_at, true()),
    KeepRule.SWEEPS: (SWEEP.c.started_at, true()),
    KeepRule.HISTORY: (DRIFT_EVENT.c.at, true()),
}
