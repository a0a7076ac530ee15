"""How many tenants lack each permission, and since when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.report import Verdict
from monitor.store.columns import UTCDateTime
from monitor.store.tables import CREDENTIAL, PERMISSION_STATE, TENANT

_P = PERMISSION_STATE.c


@dataclass(frozen=True, slots=True)
class LackedPermission:
    """`tenants` lack it now, `fresh` of them since the last day; seen missing first and last at `first` and `last`."""

    id: str
    group: str
    label: str
    tenants: int
    fresh: int
    first: datetime | None
    last: datetime | None


async def lacked(conn: AsyncConnection, fresh_since: datetime) -> Sequence[LackedPermission]:
    """Every permission that some tenant lacks, the most lacked first."""
    tenants = func.count(CREDENTIAL.c.tenant_id.distinct())
    statement = (
        select(
            _P.permission_id,
            func.max(_P.permission_group),
            func.max(_P.permission_label),
            tenants,
            func.count(CREDENTIAL.c.tenant_id.distinct()).filter(_P.since >= fresh_since),
            func.min(_P.since, type_=UTCDateTime()),
            func.max(_P.since, type_=UTCDateTime()),
        )
        .join_from(PERMISSION_STATE, CREDENTIAL, CREDENTIAL.c.id == _P.credential_id)
        .join(TENANT, TENANT.c.id == CREDENTIAL.c.tenant_id)
        .where(_P.verdict == Verdict.MISSING, CREDENTIAL.c.removed_at.is_(None), TENANT.c.removed_at.is_(None))
        .group_by(_P.permission_id)
        .order_by(tenants.desc(), _P.permission_id)
    )
    return [LackedPermission(*row) for row in await conn.execute(statement)]
