"""What is old enough to go, by rule: counted, and let go in portions. docs/database.md has the rules in words."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, func, literal_column, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.retention import KeepRule
from monitor.notices.notice import Status
from monitor.store.statements import PRUNE_LOCK, one_at_a_time
from monitor.store.tables import CHECK, NOTICE, REFUSAL, SWEEP
from monitor.upkeep import check_days_queries


async def stale(conn: AsyncConnection, rule: KeepRule, before: datetime) -> int:
    """How many rows a rule would change or let go."""
    return await _WAYS[rule].count(conn, before)


async def span(conn: AsyncConnection, rule: KeepRule) -> tuple[datetime | None, datetime | None]:
    """The oldest and the newest moment of what a rule is about; None where there is nothing."""
    moment, concerned = _DATED[rule]
    ends = (await conn.execute(select(func.min(moment), func.max(moment)).where(concerned))).one()
    return ends[0], ends[1]


async def let_go(conn: AsyncConnection, rule: KeepRule, before: datetime, limit: int) -> int:
    """Up to so many rows, in the caller's transaction; how many there were. Two processes never take the same ones."""
    await one_at_a_time(conn, PRUNE_LOCK)
    return await _WAYS[rule].act(conn, before, limit)


@dataclass(frozen=True, slots=True)
class _Way:
    count: Callable[[AsyncConnection, datetime], Awaitable[int]]
    act: Callable[[AsyncConnection, datetime, int], Awaitable[int]]


def _deleting(table: Table, old: Callable[[datetime], ColumnElement[bool]]) -> _Way:
    key = tuple_(*table.primary_key)

    async def count(conn: AsyncConnection, before: datetime) -> int:
        return int((await conn.execute(select(func.count()).select_from(table).where(old(before)))).scalar_one())

    async def act(conn: AsyncConnection, before: datetime, limit: int) -> int:
        portion = select(*table.primary_key).where(old(before)).limit(limit)
        return (await conn.execute(delete(table).where(key.in_(portion)))).rowcount

    return _Way(count, act)


# So that SQLite goes by the index of notices with a text and not by that of all that were ever sent, the empty text is
# written out, and the status is told by what it is not.
_TEXT_OF_DONE = (NOTICE.c.text != literal_column("''")) & NOTICE.c.status.not_in(
    set(Status) - {Status.SENT, Status.DROPPED}
)


def _old_text(before: datetime) -> ColumnElement[bool]:
    """Of a notice that is done with; one that failed can still be sent again."""
    c = NOTICE.c
    return _TEXT_OF_DONE & (c.created_at < before) & (func.coalesce(c.sent_at, c.created_at) < before)


async def _count_texts(conn: AsyncConnection, before: datetime) -> int:
    return int((await conn.execute(select(func.count()).where(_old_text(before)))).scalar_one())


async def _empty_texts(conn: AsyncConnection, before: datetime, limit: int) -> int:
    portion = select(NOTICE.c.id).where(_old_text(before)).limit(limit)
    return (await conn.execute(update(NOTICE).where(NOTICE.c.id.in_(portion)).values(text="", html=""))).rowcount


_WAYS: Mapping[KeepRule, _Way] = {
    KeepRule.CHECKS: _Way(check_days_queries.to_roll_up, check_days_queries.roll_up),
    KeepRule.NOTICE_TEXTS: _Way(_count_texts, _empty_texts),
    KeepRule.REFUSALS: _deleting(REFUSAL, lambda before: REFUSAL.c.seen_at < before),
    KeepRule.SWEEPS: _deleting(SWEEP, lambda before: SWEEP.c.started_at < before),
}

_DATED: Mapping[KeepRule, tuple[ColumnElement[datetime], ColumnElement[bool]]] = {
    KeepRule.CHECKS: (CHECK.c.started_at, true()),
    KeepRule.NOTICE_TEXTS: (NOTICE.c.created_at, _TEXT_OF_DONE),
    KeepRule.REFUSALS: (REFUSAL.c.seen_at, true()),
    KeepRule.SWEEPS: (SWEEP.c.started_at, true()),
}
