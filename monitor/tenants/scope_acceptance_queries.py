"""Whether the operator has accepted a manifest's derived scopes: before that no CSM is asked for any of them."""

from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.manifest import Manifest
from monitor.store.audit_log import note
from monitor.store.tables import OPERATOR_ACTION

ACTION = "manifest accept-v3"


async def accept(conn: AsyncConnection, manifest: Manifest, who: str, reason: str, now: datetime) -> bool:
    """Of exactly this manifest, by its digest; False, and nothing written, if it was accepted before."""
    if await is_accepted(conn, manifest.digest):
        return False
    await note(conn, who=who, action=ACTION, subject=manifest.digest, reason=reason, now=now)
    return True


async def is_accepted(conn: AsyncConnection, digest: str) -> bool:
    theirs = (OPERATOR_ACTION.c.action == ACTION) & (OPERATOR_ACTION.c.subject == digest)
    return bool((await conn.execute(select(exists().where(theirs)))).scalar_one())
