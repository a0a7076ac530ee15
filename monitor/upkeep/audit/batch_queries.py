"""The SQL of the audit chain: which rows and columns are signed, its batches, and its head.

Values are read as they are stored, not as their columns' types: SQLite stores whatever somebody wrote, and a moment
that is none must be found, not end the reading.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Select,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from monitor.store.audit_tables import AUDIT_BATCH, AUDIT_HEAD
from monitor.store.columns import UTCDateTime
from monitor.store.statements import upsert
from monitor.store.tables import DRIFT_EVENT, NOTICE_ACTION, OPERATOR_ACTION
from monitor.upkeep.audit.chain import AuditKey, ChainHead, Content, HistoryKind, SignedBatch, as_utc

_LOCK_TIMEOUT = "500ms"
_PAGE = 1000  # rows in memory
_EVENT_COLUMNS = (
    "id", "at", "kind", "tenant_id", "credential_id", "incident_id", "permission_id", "permission_group",
    "permission_label", "mapping", "rule", "state", "detail", "seen_before", "first_seen", "manifest_digest",
)  # fmt: skip
_ACTION_COLUMNS = ("id", "at", "who", "action", "subject", "reason")
LEFT_OUT: Mapping[HistoryKind, frozenset[str]] = {
    # These change after the event was recorded: `check_id` is cleared when its check is rolled up, `burst_id` is for an
    # event to be assigned to a burst later. A column that is added must be left out, too, and a
    # migration must leave the others as they are: signed events would look altered.
    HistoryKind.EVENTS: frozenset({"check_id", "burst_id"}),
    HistoryKind.ACTIONS: frozenset(),
}
"""Columns that no signature covers."""

TABLES: Mapping[HistoryKind, Table] = {HistoryKind.EVENTS: DRIFT_EVENT, HistoryKind.ACTIONS: OPERATOR_ACTION}
COVERED: Mapping[HistoryKind, Sequence[Column[Any]]] = {
    HistoryKind.EVENTS: [DRIFT_EVENT.c[name] for name in _EVENT_COLUMNS],
    HistoryKind.ACTIONS: [*(OPERATOR_ACTION.c[name] for name in _ACTION_COLUMNS), NOTICE_ACTION.c.notice_id],
}
_SOURCES: Mapping[HistoryKind, FromClause] = {
    HistoryKind.EVENTS: DRIFT_EVENT,
    # One row for each notice of an action, or one without a notice.
    HistoryKind.ACTIONS: OPERATOR_ACTION.outerjoin(NOTICE_ACTION, NOTICE_ACTION.c.action_id == OPERATOR_ACTION.c.id),
}
_MOMENTS = {
    kind: [isinstance(column.type, UTCDateTime) for column in columns] for kind, columns in COVERED.items()
}  # fmt: skip


def _number(value: int) -> ColumnElement[int]:
    """As wide as SQLite's ids: in Postgres a bound outside those of the column is an error otherwise."""
    return literal(value, BigInteger())


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return type_coerce(column, NullType()).label(getattr(column, "name", None))


def _page(kind: HistoryKind) -> Select[Any]:
    """So many rows; an action comes with all its notices."""
    key = TABLES[kind].c.id
    some = (
        select(key)
        .where(key >= bindparam("first", type_=BigInteger), key <= bindparam("last", type_=BigInteger))
        .order_by(key)
        .limit(_PAGE)
    )
    order = [key, NOTICE_ACTION.c.notice_id] if kind is HistoryKind.ACTIONS else [key]
    wanted = select(*map(_as_stored, COVERED[kind])).select_from(_SOURCES[kind])
    return wanted.where(key.in_(some)).order_by(*order)


_PAGES = {kind: _page(kind) for kind in HistoryKind}
_BATCH = [_as_stored(AUDIT_BATCH.c[field.name]) for field in fields(SignedBatch)]


async def stored_rows(conn: AsyncConnection, kind: HistoryKind, after: int, upto: int) -> AsyncIterator[list[object]]:
    """The covered values of each row with such an id, in order, a few rows at a time; the first value is the id."""
    statement, moments = _PAGES[kind], _MOMENTS[kind]
    while rows := (await conn.execute(statement, {"first": after + 1, "last": upto})).all():
        for row in rows:
            yield [as_utc(value) if moment else value for value, moment in zip(row, moments, strict=True)]
        after = rows[-1][0]


async def content(conn: AsyncConnection, key: AuditKey, kind: HistoryKind, after: int, upto: int) -> Content:
    """The signature of the rows with such an id, as they are now."""
    found = key.content()
    async for row in stored_rows(conn, kind, after, upto):
        found.add(row)
    return found


async def ids(conn: AsyncConnection, kind: HistoryKind, after: int, upto: int, limit: int) -> list[int]:
    """The lowest of these ids that there are."""
    key = TABLES[kind].c.id
    wanted = select(key).where(key >= _number(after + 1), key <= _number(upto)).order_by(key).limit(limit)
    return list((await conn.execute(wanted)).scalars())


async def newest_id(conn: AsyncConnection, kind: HistoryKind) -> int | None:
    newest: int | None = (await conn.execute(select(func.max(TABLES[kind].c.id)))).scalar_one()
    return newest


async def settled_id(conn: AsyncConnection, kind: HistoryKind) -> int | None:
    """An id that no row recorded from now on will be below; in a transaction of its own that may write.

    Postgres gives out ids before it commits. The lock waits until every transaction that inserts has ended, and keeps
    others out for the moment of this query; a DBAPIError says that one takes too long.
    """
    if conn.dialect.name == "postgresql":
        await conn.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        await conn.execute(text(f"LOCK TABLE {TABLES[kind].name} IN SHARE MODE"))
    return await newest_id(conn, kind)


async def unsigned(conn: AsyncConnection, kind: HistoryKind, after: int) -> tuple[int, datetime | None]:
    """How many rows have a higher id, and the date of the oldest of them."""
    table = TABLES[kind]
    oldest = _as_stored(func.min(table.c.at))
    count, at = (await conn.execute(select(func.count(), oldest).where(table.c.id >= _number(after + 1)))).one()
    moment = as_utc(at)
    return count, moment if isinstance(moment, datetime) else None


async def batches(conn: AsyncConnection, after: int, limit: int) -> list[SignedBatch]:
    """The batches with a higher number, in order."""
    statement = select(*_BATCH).where(AUDIT_BATCH.c.id >= _number(after + 1)).order_by(AUDIT_BATCH.c.id).limit(limit)
    return [_batch(row) for row in await conn.execute(statement)]


async def batches_before(conn: AsyncConnection, kind: HistoryKind, key_id: str, before: int) -> list[SignedBatch]:
    """The last of a kind that this key signed, by their own account and from the newest on; some of them."""
    c = AUDIT_BATCH.c
    statement = (
        select(*_BATCH)
        .where(c.kind == kind, c.key_id == key_id, c.id < _number(before))
        .order_by(c.id.desc())
        .limit(10)
    )
    return [_batch(row) for row in await conn.execute(statement)]


async def unpruned(conn: AsyncConnection, kind: HistoryKind, key_id: str, limit: int) -> list[SignedBatch]:
    """The first batches of a kind and key whose rows are still there."""
    c = AUDIT_BATCH.c
    statement = select(*_BATCH).where(c.kind == kind, c.key_id == key_id, c.pruned_at.is_(None))
    return [_batch(row) for row in await conn.execute(statement.order_by(c.id).limit(limit))]


async def count_batches(conn: AsyncConnection) -> int:
    return int((await conn.execute(select(func.count()).select_from(AUDIT_BATCH))).scalar_one())


async def newest_batch(conn: AsyncConnection) -> SignedBatch | None:
    row = (await conn.execute(select(*_BATCH).order_by(AUDIT_BATCH.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else _batch(row)


async def add(conn: AsyncConnection, batch: SignedBatch) -> None:
    await conn.execute(insert(AUDIT_BATCH).values(asdict(batch)))


async def mark_pruned(conn: AsyncConnection, batch: SignedBatch) -> None:
    marked = {"pruned_at": batch.pruned_at, "pruned_signature": batch.pruned_signature}
    await conn.execute(update(AUDIT_BATCH).where(AUDIT_BATCH.c.id == batch.id).values(marked))


async def head(conn: AsyncConnection) -> tuple[ChainHead, str, str] | None:
    """What is stored about the newest batch, the id of the key it was signed with, and the signature."""
    row = (await conn.execute(select(*map(_as_stored, AUDIT_HEAD.c)))).mappings().one_or_none()
    if row is None:
        return None
    return ChainHead(row["batch_id"], row["batch_signature"]), row["key_id"], row["signature"]


async def set_head(conn: AsyncConnection, key: AuditKey, newest: ChainHead) -> None:
    signed = {"id": 1, **asdict(newest), "key_id": key.id, "signature": key.of_head(newest)}
    await upsert(conn, AUDIT_HEAD, [signed])


def _batch(row: Any) -> SignedBatch:
    stored = dict(row._mapping)
    moments = {name: as_utc(stored[name]) for name in ("created_at", "pruned_at")}
    return SignedBatch(**{**stored, **moments})
