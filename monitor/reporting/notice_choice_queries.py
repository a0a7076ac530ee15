"""Notices that an operator chose, as they are now."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.notices import notice_queries
from monitor.notices.notice import Status
from monitor.reporting.notice_choice import Choice, ChosenNotice, NoticeCommand
from monitor.store.tables import NOTICE, TENANT

_N, _T = NOTICE.c, TENANT.c


async def choice(conn: AsyncConnection, command: NoticeCommand, numbers: Collection[int], *, all_held: bool) -> Choice:
    """`all_held` says that these were all that were held."""
    chosen = [one for batch in notice_queries.batches(numbers) for one in await _notices(conn, batch)]
    newer = await _held_after(conn, max(numbers)) if all_held and numbers else 0
    return Choice(command, chosen, missing=len(numbers) - len(chosen), newer=newer)


async def _notices(conn: AsyncConnection, numbers: Collection[int]) -> list[ChosenNotice]:
    statement = (
        select(
            *(_N.id, _N.status, _N.audience, _N.recipient, _N.subject, _N.tenant_id),
            *(_T.name, _T.csm_name, _T.csm_email),
        )
        .outerjoin(TENANT, _T.id == _N.tenant_id)
        .where(_N.id.in_(numbers))
        .order_by(_N.id)
    )
    found = (await conn.execute(statement)).all()
    actions = await notice_queries.last_actions(conn, [row.id for row in found])
    return [
        ChosenNotice(
            number=row.id,
            status=Status(row.status),
            audience=row.audience,
            recipient=row.recipient,
            subject=row.subject,
            tenant_id=row.tenant_id,
            tenant_name=row.name,
            csm_name=row.csm_name,
            csm_email=row.csm_email,
            last_action=actions.get(row.id),
        )
        for row in found
    ]


async def _held_after(conn: AsyncConnection, number: int) -> int:
    statement = select(func.count()).select_from(NOTICE).where(_N.status == Status.HELD, _N.id > number)
    return int((await conn.execute(statement)).scalar_one())
