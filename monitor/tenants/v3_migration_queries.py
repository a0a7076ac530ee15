"""Queries for tenants that still have a Harvest v1/v2 key, and for the notices about retired keys."""

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
# A credential is also `ok` before its first check: only a baseline shows that it has worked.
_MIGRATED = _HAS_SUCCESSOR.where(_SUCCESSOR.c.state == CredentialState.OK, _SUCCESSOR.c.baseline_at.is_not(None))
_ACTIVE = CREDENTIAL.c.removed_at.is_(None) & TENANT.c.removed_at.is_(None)
_V1 = _ACTIVE & (CREDENTIAL.c.kind == CredentialKind.HARVEST_KEY)
_OF_TENANT = CREDENTIAL.c.tenant_id == TENANT.c.id
_RETIRED = _V1 & (CREDENTIAL.c.state == CredentialState.RETIRED) & ~_MIGRATED & TENANT.c.paused.is_(None)


async def v1_keys(conn: AsyncConnection, tenant_id: str | None = None) -> list[V1Key]:
    """Every active harvest-key, or those of one tenant, ordered by tenant id and label."""
    return await _keys(conn, _V1 if tenant_id is None else _V1 & (TENANT.c.id == tenant_id))


async def retired_keys(conn: AsyncConnection) -> list[V1Key]:
    """Retired keys of tenants that are not paused, and have no working v3 credential."""
    return await _keys(conn, _RETIRED)


async def retired_since(conn: AsyncConnection) -> list[tuple[str | None, datetime]]:
    """When the first of those keys became `retired`, by the address of the tenants' CSM."""
    statement = (
        select(TENANT.c.csm_email, func.min(CREDENTIAL.c.state_since))
        .join_from(CREDENTIAL, TENANT, _OF_TENANT)
        .where(_RETIRED, CREDENTIAL.c.state_since.is_not(None))
        .group_by(TENANT.c.csm_email)
    )
    return [(address, since) for address, since in await conn.execute(statement)]


async def last_notified(conn: AsyncConnection, why: str, before: datetime) -> Mapping[tuple[str, str], datetime]:
    """When notices whose reason starts with `why` were last written, by reason and recipient (in lower case).

    Times after `before` were written under a wrong clock and are ignored.
    """
    recipient = func.lower(NOTICE.c.recipient)
    statement = (
        select(NOTICE.c.why, recipient, func.max(NOTICE.c.created_at))
        .where(NOTICE.c.tenant_id.is_(None), NOTICE.c.why.startswith(why, autoescape=True))
        .where(NOTICE.c.created_at <= before)
        .group_by(NOTICE.c.why, recipient)
    )
    return {(reason, address): at for reason, address, at in await conn.execute(statement)}


async def lock_retired_notices(conn: AsyncConnection) -> None:
    """Until the end of the transaction, nobody else writes notices about retired keys."""
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
