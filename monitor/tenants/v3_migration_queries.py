"""The statements on tenants that still have a Harvest v1/v2 key, and on the notices that tell of retired ones."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialKind, CredentialState
from monitor.store.statements import RETIRED_LOCK, one_at_a_time
from monitor.store.tables import CREDENTIAL, NOTICE, TENANT
from monitor.tenants.v3_migration import MigrationStage, V1Key

_SUCCESSOR = CREDENTIAL.alias("successor")
_HAS_SUCCESSOR = exists().where(
    _SUCCESSOR.c.tenant_id == CREDENTIAL.c.tenant_id,
    _SUCCESSOR.c.kind == CredentialKind.HARVEST_OAUTH,
    _SUCCESSOR.c.removed_at.is_(None),
)
# A credential is `ok` before its first look, too: only a baseline says that it was seen to work.
_MIGRATED = _HAS_SUCCESSOR.where(_SUCCESSOR.c.state == CredentialState.OK, _SUCCESSOR.c.baseline_at.is_not(None))
_WATCHED = CREDENTIAL.c.removed_at.is_(None) & TENANT.c.removed_at.is_(None)
_V1 = _WATCHED & (CREDENTIAL.c.kind == CredentialKind.HARVEST_KEY)
_OF_TENANT = CREDENTIAL.c.tenant_id == TENANT.c.id
_RETIRED = _V1 & (CREDENTIAL.c.state == CredentialState.RETIRED) & ~_MIGRATED


async def v1_keys(conn: AsyncConnection, tenant_id: str | None = None) -> list[V1Key]:
    """Every watched harvest-key, or those of one tenant, in the order of ids and labels."""
    return await _keys(conn, _V1 if tenant_id is None else _V1 & (TENANT.c.id == tenant_id))


async def retired_keys(conn: AsyncConnection) -> list[V1Key]:
    """Those that stand retired, of tenants without a v3 credential that works."""
    return await _keys(conn, _RETIRED)


async def retired_since(conn: AsyncConnection) -> list[tuple[str | None, datetime]]:
    """Since when the first of those stands retired, by the address of the tenants' CSM."""
    statement = (
        select(TENANT.c.csm_email, func.min(CREDENTIAL.c.state_since))
        .join_from(CREDENTIAL, TENANT, _OF_TENANT)
        .where(_RETIRED, CREDENTIAL.c.state_since.is_not(None))
        .group_by(TENANT.c.csm_email)
    )
    return [(address, since) for address, since in await conn.execute(statement)]


async def last_told(conn: AsyncConnection, why: str, before: datetime) -> Mapping[tuple[str, str], datetime]:
    """When notices whose reason begins so were last written, by reason and reader (in lower case).

    What lies ahead was written under another clock, and counts for nothing.
    """
    reader = func.lower(NOTICE.c.recipient)
    statement = (
        select(NOTICE.c.why, reader, func.max(NOTICE.c.created_at))
        .where(NOTICE.c.tenant_id.is_(None), NOTICE.c.why.startswith(why, autoescape=True))
        .where(NOTICE.c.created_at <= before)
        .group_by(NOTICE.c.why, reader)
    )
    return {(reason, to): at for reason, to, at in await conn.execute(statement)}


async def hold_retired(conn: AsyncConnection) -> None:
    """To the end of the transaction nobody else writes of retired keys."""
    await one_at_a_time(conn, RETIRED_LOCK)


async def _keys(conn: AsyncConnection, which: ColumnElement[bool]) -> list[V1Key]:
    statement = (
        select(
            *TENANT.c["id", "name", "csm_name", "csm_email", "features", "declined"],
            *CREDENTIAL.c["label", "manifest", "state", "state_since"],
            _HAS_SUCCESSOR.label("begun"),
            _MIGRATED.label("done"),
        )
        .join_from(CREDENTIAL, TENANT, _OF_TENANT)
        .where(which)
        .order_by(TENANT.c.id, CREDENTIAL.c.label)
    )
    return [_key(row) for row in await conn.execute(statement)]


def _key(row: Row[*tuple[Any, ...]]) -> V1Key:
    return V1Key(
        tenant_id=row.id,
        tenant_name=row.name,
        csm_name=row.csm_name,
        csm_email=row.csm_email,
        features=tuple(row.features),
        declined=tuple(entry["permission"] for entry in row.declined),
        label=row.label,
        manifest=row.manifest,
        state=CredentialState(row.state),
        since=row.state_since,
        stage=MigrationStage.DONE if row.done else MigrationStage.BEGUN if row.begun else MigrationStage.NOT_BEGUN,
    )
