"""The statements on causes: which are pending, what is known about their readers, and how they are settled."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialKind, CredentialState
from checks.report import Verdict
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import ENDS, EXCESS, PendingCause, StillMissing
from monitor.notices.content.credential_news import Coverage
from monitor.notices.content.messages import V1Keys
from monitor.notices.content.successor import CredentialNeeds
from monitor.notices.notice import Status
from monitor.notices.notice_queries import batches
from monitor.notices.partners import PARTNER, PartnerCoverage
from monitor.store.columns import UTCDateTime
from monitor.store.statements import unindexed
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, NOTICE, PERMISSION_STATE, TENANT


async def pending_causes(conn: AsyncConnection) -> list[PendingCause]:
    """Every cause that is unsettled, and those whose notice is held, with the facts that the composer needs."""
    # A union, not an OR: each half has an index, while for an OR SQLite reads every cause that was ever written.
    unsettled = select(CAUSE.c.id).where(CAUSE.c.settled_at.is_(None))
    held = select(CAUSE.c.id).join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id).where(NOTICE.c.status == Status.HELD)
    statement = (
        select(
            *CAUSE.c["id", "event_id", "audience", "brake_key", "created_at"],
            *DRIFT_EVENT.c["kind", "tenant_id", "credential_id", "permission_id", "permission_group"],
            *DRIFT_EVENT.c["permission_label", "mapping", "state", "detail", "seen_before", "first_seen", "at"],
            DRIFT_EVENT.c.manifest_digest,
            TENANT.c.name.label("tenant_name"),
            *TENANT.c["csm_name", "csm_email"],
            TENANT.c.removed_at,
            TENANT.c.paused.is_not(None).label("paused"),
            CREDENTIAL.c.label.label("credential_label"),
            CREDENTIAL.c.kind.label("credential_kind"),
            CREDENTIAL.c.oauth,
            CREDENTIAL.c.removed_at.label("credential_removed_at"),
            case((CREDENTIAL.c.next_due.is_not(None), CREDENTIAL.c.last_checked_at)).label("last_checked_at"),
            *PERMISSION_STATE.c["verdict", "origin"],
            case((CAUSE.c.settled_at.is_not(None), CAUSE.c.notice_id)).label("held_in"),
            case((CAUSE.c.settled_at.is_not(None), NOTICE.c.recipient)).label("held_for"),
        )
        .join_from(CAUSE, DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        .join(TENANT, TENANT.c.id == CAUSE.c.tenant_id)
        .join(CREDENTIAL, CREDENTIAL.c.id == DRIFT_EVENT.c.credential_id)
        .outerjoin(PERMISSION_STATE, _same_permission(PERMISSION_STATE, DRIFT_EVENT))
        .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        .where(CAUSE.c.id.in_(unsettled.union_all(held)))
        .order_by(CAUSE.c.id)
    )
    rows = (await conn.execute(statement)).mappings().all()
    earlier = await _earlier_causes(conn, {row["tenant_id"] for row in rows if row["kind"] in ENDS})
    return [_pending_cause(row, earlier) for row in rows]


_Subject = tuple[int, str | None]
"""Credential, permission."""


class _EarlierCause(NamedTuple):
    """An event, when it was first seen, its audience, the notice that reported it (None if that was dropped), and whom
    that notice was for.
    """

    event: int
    seen: datetime
    audience: str
    notice: int | None
    reader: str


async def _earlier_causes(conn: AsyncConnection, tenants: Collection[str]) -> dict[_Subject, list[_EarlierCause]]:
    """By subject, all causes of these tenants so far."""
    earlier: dict[_Subject, list[_EarlierCause]] = {}
    for batch in batches(tenants):
        statement = (
            select(
                DRIFT_EVENT.c.credential_id,
                DRIFT_EVENT.c.permission_id,
                DRIFT_EVENT.c.id,
                func.coalesce(DRIFT_EVENT.c.first_seen, DRIFT_EVENT.c.at, type_=UTCDateTime()),
                CAUSE.c.audience,
                # The CSM of a dropped notice is not notified of its end either.
                case((NOTICE.c.status != Status.DROPPED, NOTICE.c.id)),
                func.coalesce(NOTICE.c.audience, CAUSE.c.audience),
            )
            .join_from(DRIFT_EVENT, CAUSE, CAUSE.c.event_id == DRIFT_EVENT.c.id)
            .outerjoin(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
            .where(DRIFT_EVENT.c.tenant_id.in_(batch))
            .order_by(DRIFT_EVENT.c.id)
        )
        for credential, permission, *cause in await conn.execute(statement):
            earlier.setdefault((credential, permission), []).append(_EarlierCause(*cause))
    return earlier


def _pending_cause(row: RowMapping, earlier: dict[_Subject, list[_EarlierCause]]) -> PendingCause:
    facts = dict(row)
    facts["kind"], facts["audience"] = EventKind(row["kind"]), Audience(row["audience"])
    oauth = facts.pop("oauth")
    facts["credential_grant"] = oauth["grant"] if oauth else None
    facts["is_outdated"] = _is_outdated(
        facts.pop("credential_removed_at"), facts.pop("verdict"), facts.pop("origin"), row
    )
    if row["kind"] in ENDS:
        beginning = _beginning(row, earlier[row["credential_id"], row["permission_id"]])
        if beginning is not None:
            facts["notified_in"], facts["audience"] = beginning.notice, Audience(beginning.reader)
            facts["began_at"] = beginning.seen
    return PendingCause(**facts)


def _is_outdated(removed_at: datetime | None, verdict: str | None, origin: str | None, row: RowMapping) -> bool:
    """A beginning that is over without an end that says so."""
    if row["kind"] in ENDS:
        return False
    if removed_at is not None or row["permission_id"] is None or row["kind"] in EXCESS:
        return removed_at is not None
    # Carried over to a new secret: it is not decided yet whether it is still so.
    carried = verdict is None and origin in (EventKind.LOST, EventKind.FOUND)
    return verdict != Verdict.MISSING and not carried


def _beginning(end: RowMapping, causes: list[_EarlierCause]) -> _EarlierCause | None:
    """The cause that this end resolves: its reader is notified of the end, even if another would be by now.

    An end with a cause for each of the two readers resolves one beginning for each.
    """
    for_both = len({cause.audience for cause in causes if cause.event == end["event_id"]}) > 1
    before = [cause for cause in causes if cause.event < end["event_id"]]
    if for_both:
        before = [cause for cause in before if cause.audience == end["audience"]]
    return before[-1] if before else None


async def partner_coverage(conn: AsyncConnection, permissions: Collection[str]) -> dict[str, PartnerCoverage]:
    """For each of these permissions, how many of the working credentials of a partner's client have it."""
    state = PERMISSION_STATE.c
    # A suspect or undecided permission was not granted in the last full check, so that check says nothing of it.
    granted = and_(state.verdict == "granted", state.suspect_since.is_(None), state.undecided_since.is_(None))
    last_seen = func.max(case((granted, CREDENTIAL.c.last_full_at)), type_=UTCDateTime())
    statement = (
        select(state.permission_id, func.count(), func.count().filter(state.verdict == "granted"), last_seen)
        .join_from(PERMISSION_STATE, CREDENTIAL, CREDENTIAL.c.id == state.credential_id)
        .where(
            CREDENTIAL.c.removed_at.is_(None),
            CREDENTIAL.c.state == CredentialState.OK,
            CREDENTIAL.c.oauth["grant"].as_string() == PARTNER,
            state.verdict.is_not(None),
        )
        .group_by(state.permission_id)
    )
    found: dict[str, PartnerCoverage] = {}
    for batch in batches(permissions):
        rows = await conn.execute(statement.where(state.permission_id.in_(batch)))
        found.update({name: PartnerCoverage(*facts) for name, *facts in rows})
    return found


async def v1_keys(conn: AsyncConnection) -> V1Keys:
    """Of all active keys of Harvest v1 and v2."""
    state = CREDENTIAL.c.state
    retired, working = (
        func.count().filter(state == wanted) for wanted in (CredentialState.RETIRED, CredentialState.OK)
    )
    active = CREDENTIAL.c.removed_at.is_(None) & (CREDENTIAL.c.kind == CredentialKind.HARVEST_KEY)
    return V1Keys(*(await conn.execute(select(retired, working).where(active))).one())


async def coverage(conn: AsyncConnection, credentials: Collection[int]) -> dict[int, Coverage]:
    """By credential; what a customer declined is not needed."""
    state = PERMISSION_STATE.c
    found: dict[int, Coverage] = {}
    for batch in batches(credentials):
        missing = func.count().filter(state.verdict == Verdict.MISSING)
        statement = (
            select(state.credential_id, func.count(), missing)
            .where(state.credential_id.in_(batch), state.permission_id != ROLE_ID)
            .group_by(state.credential_id)
        )
        found.update({id_: Coverage(*counts) for id_, *counts in await conn.execute(statement)})
    return found


async def needs(conn: AsyncConnection, credentials: Collection[int]) -> dict[int, CredentialNeeds]:
    """By credential."""
    found: dict[int, CredentialNeeds] = {}
    for batch in batches(credentials):
        statement = (
            select(CREDENTIAL.c.id, CREDENTIAL.c.manifest, TENANT.c.features, TENANT.c.declined)
            .join_from(CREDENTIAL, TENANT, TENANT.c.id == CREDENTIAL.c.tenant_id)
            .where(CREDENTIAL.c.id.in_(batch))
        )
        for id_, manifest, features, declined in await conn.execute(statement):
            named = tuple(entry["permission"] for entry in declined)
            found[id_] = CredentialNeeds(manifest, tuple(features), named)
    return found


async def with_access(conn: AsyncConnection, tenants: Collection[str]) -> frozenset[str]:
    """Those of these tenants with a credential that was seen to work, and has not failed since."""
    c = CREDENTIAL.c
    # A credential is also `ok` before its first check: only a baseline shows that it has worked.
    works = c.removed_at.is_(None) & (c.state == CredentialState.OK) & c.baseline_at.is_not(None)
    found: set[str] = set()
    for batch in batches(tenants):
        found.update((await conn.execute(select(c.tenant_id).where(works, c.tenant_id.in_(batch)))).scalars())
    return frozenset(found)


async def still_missing(conn: AsyncConnection) -> tuple[StillMissing, ...]:
    """What CSMs were notified is missing, and still is, for the tenants where something else has just ended."""
    ended = (
        select(CAUSE.c.tenant_id)
        .join(DRIFT_EVENT, DRIFT_EVENT.c.id == CAUSE.c.event_id)
        .where(CAUSE.c.settled_at.is_(None), CAUSE.c.audience == Audience.CSM, DRIFT_EVENT.c.kind.in_(ENDS))
    )
    event, state = DRIFT_EVENT.alias(), PERMISSION_STATE
    named = state.c["credential_id", "permission_id", "permission_group", "permission_label"]
    # A subquery for each event: with a join, SQLite may start from all notices that were ever sent.
    notified = (
        select(func.max(NOTICE.c.recipient))
        .join(NOTICE, NOTICE.c.id == CAUSE.c.notice_id)
        .where(
            CAUSE.c.event_id == event.c.id,
            CAUSE.c.audience == Audience.CSM,
            NOTICE.c.status.in_([Status.PENDING, Status.SENT]),
        )
        .correlate(event)
    )
    recipient = notified.scalar_subquery()
    statement = (
        select(*named, func.max(recipient).label("notified"))
        .join_from(state, event, _same_permission(state, event))
        .where(
            state.c.verdict == "missing",
            state.c.undecided_since.is_(None),
            state.c.origin == EventKind.LOST,
            unindexed(event.c.kind) == EventKind.LOST,
            event.c.tenant_id.in_(ended),
            recipient.is_not(None),
        )
        .group_by(*named)
        .order_by(func.max(event.c.id))
    )
    return tuple(
        StillMissing(row.credential_id, row.permission_id, row.permission_group, row.permission_label, row.notified)
        for row in await conn.execute(statement)
    )


def _same_permission(state: Any, event: Any) -> ColumnElement[bool]:
    same: ColumnElement[bool] = (event.c.credential_id == state.c.credential_id) & (
        unindexed(event.c.permission_id) == state.c.permission_id
    )
    return same


async def settle(conn: AsyncConnection, causes: Collection[int], notice: int | None, now: datetime) -> int:
    """Settle unsettled causes; returns how many were. `notice` is one that reported the same before, if any."""
    changed = 0
    for ids in batches(causes):
        statement = update(CAUSE).where(CAUSE.c.id.in_(ids), CAUSE.c.settled_at.is_(None))
        changed += (await conn.execute(statement.values(settled_at=now, notice_id=notice))).rowcount
    return changed


async def reopen(conn: AsyncConnection, causes: Collection[int]) -> int:
    """Make settled causes wait again, for a notice that is not written yet; returns how many were settled."""
    changed = 0
    for ids in batches(causes):
        statement = update(CAUSE).where(CAUSE.c.id.in_(ids), CAUSE.c.settled_at.is_not(None))
        changed += (await conn.execute(statement.values(settled_at=None, notice_id=None))).rowcount
    return changed


async def assign_notices(conn: AsyncConnection, notice_of: Mapping[int, int]) -> None:
    """Record which notice reports each cause; the caller has settled it, or taken it from a held notice."""
    if notice_of:
        statement = update(CAUSE).where(CAUSE.c.id == bindparam("cause")).values(notice_id=bindparam("notice"))
        rows = [{"cause": cause, "notice": notice} for cause, notice in notice_of.items()]
        await conn.execute(statement, rows)
