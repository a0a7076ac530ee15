"""Halts of write probes with the names of their tenants and of those who lifted them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.reporting.write_halt_list import HaltRow
from monitor.store.tables import OPERATOR_ACTION, TENANT, WRITE_HALT

_H = WRITE_HALT.c


async def in_force(conn: AsyncConnection) -> Sequence[HaltRow]:
    """The newest first."""
    return await _rows(conn, _halts().where(_H.lifted_at.is_(None)))


async def named(conn: AsyncConnection, numbers: Collection[int]) -> Sequence[HaltRow]:
    return await _rows(conn, _halts().where(_H.id.in_(numbers)))


async def lifted(conn: AsyncConnection, limit: int, before: int | None = None) -> Sequence[HaltRow]:
    """The newest first; `before` is the id of the last one that was read."""
    statement = _halts().where(_H.lifted_at.is_not(None)).limit(limit)
    return await _rows(conn, statement if before is None else statement.where(_H.id < before))


async def page(conn: AsyncConnection, limit: int, before: int | None = None) -> Sequence[HaltRow]:
    """Of all halts, the newest first."""
    return await _rows(conn, _halts().limit(limit) if before is None else _halts().where(_H.id < before).limit(limit))


def _halts() -> Select[Any]:
    action = OPERATOR_ACTION.c
    # The halt itself does not keep who lifted it; the log's entry was written with it, at the same moment.
    lifted_by = (
        select(func.max(action.who))
        .where(action.action == "writes resume", action.at == _H.lifted_at)
        .correlate(WRITE_HALT)
        .scalar_subquery()
    )
    return (
        select(
            *(_H.id, _H.at, _H.scope, _H.endpoint, _H.status, _H.request_id, _H.record_id, _H.tenant_id),
            *(TENANT.c.name, _H.lifted_at, _H.lifted_reason, lifted_by),
        )
        .outerjoin(TENANT, TENANT.c.id == _H.tenant_id)
        .order_by(_H.id.desc())
    )


async def _rows(conn: AsyncConnection, statement: Select[Any]) -> Sequence[HaltRow]:
    return [HaltRow(*row) for row in await conn.execute(statement)]
