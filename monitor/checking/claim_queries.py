"""Which credentials are due, and claiming one for a check."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind, CredentialState
from checks.judgement import GONE_RULES
from checks.report import Verdict
from monitor.checking.schedule import key_of, next_regular
from monitor.config.retention import REMEMBERED_FOR
from monitor.drift.suspicion import Suspicion, by_list
from monitor.store.tables import CREDENTIAL, PERMISSION_STATE, REFUSAL, TENANT
from monitor.tenants.file import CredentialConfig, Grant, OAuthConfig

AHEAD = timedelta(hours=1)  # what is dated further ahead was written while the clock was wrong

# Of every check, so they are put together once.
_CLAIM = (
    update(CREDENTIAL)
    .where(CREDENTIAL.c.id == bindparam("credential_id"))
    .values(epoch=CREDENTIAL.c.epoch + 1, next_due=bindparam("leased_until"))
    .returning(CREDENTIAL)
)
_CLAIM_WATCHED = _CLAIM.where(CREDENTIAL.c.next_due.is_not(None))
# Asked again within the update: of two services that saw the credential due, one gets the row.
_CLAIM_DUE = _CLAIM.where(CREDENTIAL.c.next_due <= bindparam("now"))
_TENANT = select(TENANT).where(TENANT.c.id == bindparam("tenant_id"))
_REFUSED = select(REFUSAL.c.endpoint).where(
    REFUSAL.c.credential_id == bindparam("credential_id"),
    REFUSAL.c.fingerprint == bindparam("fingerprint"),
    REFUSAL.c.seen_at.between(bindparam("earliest"), bindparam("latest")),
)
_VERDICTS = select(PERMISSION_STATE.c.permission_id, PERMISSION_STATE.c.verdict, PERMISSION_STATE.c.rule).where(
    PERMISSION_STATE.c.credential_id == bindparam("credential_id"),
    PERMISSION_STATE.c.verdict.is_not(None),
    PERMISSION_STATE.c.rule.not_in(sorted(GONE_RULES)),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential claimed for one check, with what the check needs to know. Only the newest claim may record.

    `declined` are permissions by id or label, as in the tenants file.
    """

    credential_id: int
    epoch: int
    tenant_id: str
    tenant_name: str
    config: CredentialConfig
    features: frozenset[str]
    write_probes: WriteProbes | None
    declined: tuple[str, ...]
    suspicion: Suspicion

    @property
    def label(self) -> str:
        return self.config.label


@dataclass(frozen=True, slots=True)
class Due:
    """Credentials to check now: `pressing` are second checks, then first ones; the most overdue first."""

    pressing: list[int]
    ordinary: list[int]


async def due(conn: AsyncConnection, now: datetime, limit: int, excluding: Collection[int] = ()) -> Due:
    """Of each sort no more than `limit`; `excluding` are those being checked already."""
    is_first = CREDENTIAL.c.last_checked_at.is_(None)
    in_doubt = or_(CREDENTIAL.c.suspects > 0, CREDENTIAL.c.suspect_state.is_not(None))
    is_due = select(CREDENTIAL.c.id).where(CREDENTIAL.c.next_due <= now).order_by(CREDENTIAL.c.next_due)
    # A query for each sort: ordinary checks, however many are late, must not hide a second or a first one.
    sorts = []
    for sort in (in_doubt, is_first, ~is_first & ~in_doubt):
        found = (await conn.execute(is_due.where(sort).limit(limit + len(excluding)))).scalars()
        sorts.append([credential_id for credential_id in found if credential_id not in excluding][:limit])
    second, first, ordinary = sorts
    return Due([*second, *first][:limit], ordinary)


async def probe_due(conn: AsyncConnection, now: datetime, excluding: Collection[int]) -> int | None:
    """The most overdue credential that works and is not suspect, or else one that is due, if there is any."""
    failing = or_(CREDENTIAL.c.state != CredentialState.OK, CREDENTIAL.c.suspect_state.is_not(None))
    is_due = select(CREDENTIAL.c.id).where(CREDENTIAL.c.next_due <= now)
    in_order = is_due.order_by(case((failing, 1), else_=0), CREDENTIAL.c.next_due).limit(1 + len(excluding))
    found = (await conn.execute(in_order)).scalars()
    return next((credential_id for credential_id in found if credential_id not in excluding), None)


async def count_checked(conn: AsyncConnection) -> int:
    """How many credentials are checked at all."""
    counted = select(func.count()).select_from(CREDENTIAL).where(CREDENTIAL.c.next_due.is_not(None))
    return int((await conn.execute(counted)).scalar_one())


async def id_of(conn: AsyncConnection, tenant_id: str, label: str) -> int | None:
    """The id of a tenant's credential by the label the customer sees; None if there is none."""
    ours = (CREDENTIAL.c.tenant_id == tenant_id) & (CREDENTIAL.c.label == label) & CREDENTIAL.c.removed_at.is_(None)
    return (await conn.execute(select(CREDENTIAL.c.id).where(ours))).scalar_one_or_none()


async def claim_due(
    conn: AsyncConnection, credential_id: int, now: datetime, interval: timedelta, leased_until: datetime
) -> Claim | None:
    """As `claim`, unless somebody else has claimed the credential since it was seen due."""
    whose = {"credential_id": credential_id, "leased_until": leased_until, "now": now}
    return await _claim(conn, (await conn.execute(_CLAIM_DUE, whose)).one_or_none(), now, interval)


async def claim(
    conn: AsyncConnection, credential_id: int, now: datetime, interval: timedelta, leased_until: datetime
) -> Claim | None:
    """The previous claim can no longer record. None if the credential is not to be checked.

    Nobody finds it due before `leased_until`, when a check that died is repeated.
    """
    whose = {"credential_id": credential_id, "leased_until": leased_until}
    return await _claim(conn, (await conn.execute(_CLAIM_WATCHED, whose)).one_or_none(), now, interval)


async def release(conn: AsyncConnection, claim: Claim, now: datetime) -> None:
    """Give back what was not recorded: it is due again, unless somebody else has claimed it."""
    mine = (CREDENTIAL.c.id == claim.credential_id) & (CREDENTIAL.c.epoch == claim.epoch)
    await conn.execute(update(CREDENTIAL).where(mine, CREDENTIAL.c.next_due.is_not(None)).values(next_due=now))


async def _claim(conn: AsyncConnection, row: Row[Any] | None, now: datetime, interval: timedelta) -> Claim | None:
    """What the check needs to know, from the row as it was claimed; None if it was not."""
    if row is None:
        return None
    tenant = (await conn.execute(_TENANT, {"tenant_id": row.tenant_id})).one()
    suspects = () if _full_check_due(row, now, interval) else await _suspects(conn, row.id)
    return Claim(
        credential_id=row.id,
        epoch=row.epoch,
        tenant_id=row.tenant_id,
        tenant_name=tenant.name,
        config=config_of(row),
        features=frozenset(tenant.features),
        write_probes=WriteProbes(tenant.write_probes) if tenant.write_probes else None,
        declined=tuple(entry["permission"] for entry in tenant.declined),
        suspicion=Suspicion(
            fingerprint=row.fingerprint,
            manifest_digest=row.manifest_digest,
            suspects=frozenset(suspects),
            refused=await _refused(conn, row, now),
            **await _decided(conn, row.id),
        ),
    )


def config_of(row: Row[Any]) -> CredentialConfig:
    """What the tenants file says of it, from a row of the table."""
    oauth = None if row.oauth is None else OAuthConfig(**{**row.oauth, "grant": Grant(row.oauth["grant"])})
    return CredentialConfig(row.label, CredentialKind(row.kind), row.reference, row.manifest, oauth)


async def bring_back(conn: AsyncConnection, now: datetime, interval: timedelta, lease: timedelta) -> int:
    """Replan checks that a clock set back or a shortened interval has left more than one interval away.

    Each goes to its own time of the interval; returns how many. What is being checked, for `lease` at most, stays.
    Run it at every start and now and then.
    """
    plan = select(CREDENTIAL.c.id, CREDENTIAL.c.tenant_id, CREDENTIAL.c.label)
    astray = (await conn.execute(plan.where(CREDENTIAL.c.next_due > now + max(interval, lease)))).all()
    moved = [{"key": c.id, "due": next_regular(key_of(c.tenant_id, c.label), now, interval)} for c in astray]
    if moved:
        statement = update(CREDENTIAL).where(CREDENTIAL.c.id == bindparam("key")).values(next_due=bindparam("due"))
        await conn.execute(statement, moved)
    return len(moved)


def _full_check_due(row: Row[Any], now: datetime, interval: timedelta) -> bool:
    """Suspects alone are asked about only between two full checks, and not while the credential itself is in doubt."""
    # A last full check ahead of now was written before the clock was set back.
    if row.last_full_at is None or row.last_full_at > now or row.suspect_state is not None:
        return True
    return next_regular(key_of(row.tenant_id, row.label), row.last_full_at, interval) <= now


async def _suspects(conn: AsyncConnection, credential_id: int) -> list[str]:
    state = PERMISSION_STATE.c
    wanted = select(state.permission_id).where(state.credential_id == credential_id, state.suspect_since.is_not(None))
    return list((await conn.execute(wanted)).scalars())


async def _decided(conn: AsyncConnection, credential_id: int) -> dict[str, frozenset[str]]:
    """The permissions known as granted, and as missing, by rules that still hold."""
    found = (await conn.execute(_VERDICTS, {"credential_id": credential_id})).all()
    granted = {id_: rule for id_, verdict, rule in found if verdict == Verdict.GRANTED}
    missing = frozenset(id_ for id_, verdict, _ in found if verdict == Verdict.MISSING)
    return {"granted": frozenset(granted), "granted_by_list": by_list(granted), "missing": missing}


async def _refused(conn: AsyncConnection, row: Row[Any], now: datetime) -> frozenset[str]:
    when = {"earliest": now - REMEMBERED_FOR, "latest": now + AHEAD}
    found = await conn.execute(_REFUSED, {"credential_id": row.id, "fingerprint": row.fingerprint, **when})
    return frozenset(found.scalars())
