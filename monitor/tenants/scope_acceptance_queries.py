"""Whether the operator has accepted a manifest's derived scopes; until then no CSM is asked for any of them."""

from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.manifest import Manifest
from monitor.store.audit_log import note
from monitor.store.columns import UTCDateTime
from monitor.store.tables import OPERATOR_ACTION

# Pruning leaves an acceptance where it is: it holds for as long as the digest does.
ACTION = "manifest accept-v3"


async def accept(conn: AsyncConnection, manifest: Manifest, who: str, reason: str, now: datetime) -> bool:
    """Accept the scopes of exactly this manifest, by digest; False, and nothing written, if already accepted."""
    if await is_accepted(conn, manifest.digest):
        return False
    await note(conn, who=who, action=ACTION, subject=manifest.digest, reason=reason, now=now)
    return True


async def accepted_at(conn: AsyncConnection) -> dict[str, datetime]:
    """When each manifest was accepted first, by digest."""
    first = func.min(OPERATOR_ACTION.c.at, type_=UTCDateTime())
    statement = select(OPERATOR_ACTION.c.subject, first).where(OPERATOR_ACTION.c.action == ACTION)
    rows = await conn.execute(statement.group_by(OPERATOR_ACTION.c.subject))
    return {digest: at for digest, at in rows}  # noqa: C416 dict() cannot be typed


async def is_accepted(conn: AsyncConnection, digest: str) -> bool:
    acceptance = (OPERATOR_ACTION.c.action == ACTION) & (OPERATOR_ACTION.c.subject == digest)
    return bool((await conn.execute(select(exists().where(acceptance)))).scalar_one())
