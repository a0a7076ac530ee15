"""What is known about every permission of every credential, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.reasons import REASONS
from checks.report import Verdict
from monitor.store.tables import CREDENTIAL, PERMISSION_STATE, TENANT

_C, _P, _T = CREDENTIAL.c, PERMISSION_STATE.c, TENANT.c


_LACKS = PERMISSION_STATE.alias("lacks")
# Few credentials lack anything; the word is not a parameter, since it is the condition of `missing_permission`.
_LACKING = select(_LACKS.c.credential_id).where(_LACKS.c.verdict == literal_column(f"'{Verdict.MISSING}'"))


class VerdictPlace(NamedTuple):
    credential_id: int
    permission_id: str


@dataclass(frozen=True, slots=True)
class VerdictFilter:
    """None leaves an aspect open; a permission goes by id or label."""

    tenant_id: str | None = None
    permission: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """`verdict` is what the last check left: the decided one, unless it could not decide."""

    credential_id: int
    tenant_id: str
    credential_label: str
    permission_id: str
    permission_group: str
    permission_label: str
    verdict: Verdict
    known: Verdict | None
    since: datetime | None
    reason: str
    rule: str
    suspect_since: datetime | None
    last_granted_at: datetime | None

    @property
    def place(self) -> VerdictPlace:
        return VerdictPlace(self.credential_id, self.permission_id)


async def page(
    conn: AsyncConnection, wanted: VerdictFilter, limit: int, after: VerdictPlace | None = None
) -> Sequence[VerdictRow]:
    """In the order of credentials and permissions."""
    statement = (
        select(PERMISSION_STATE, _C.tenant_id, _C.label)
        .join_from(PERMISSION_STATE, CREDENTIAL, _C.id == _P.credential_id)
        .join(TENANT, _T.id == _C.tenant_id)
        .where(_C.removed_at.is_(None), _T.removed_at.is_(None), *_conditions(wanted))
        .order_by(_P.credential_id, _P.permission_id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(_P.credential_id, _P.permission_id) > tuple_(*after))
    return [_row(row) for row in await conn.execute(statement)]


def _conditions(wanted: VerdictFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.tenant_id is not None:
        found.append(_C.tenant_id == wanted.tenant_id)
    if wanted.permission is not None:
        found.append(or_(_P.permission_id == wanted.permission, _P.permission_label == wanted.permission))
    if wanted.verdict in (Verdict.UNDECIDED, Verdict.NOT_CHECKABLE):
        found += [_P.undecided_as == wanted.verdict, or_(_P.verdict.is_(None), _P.verdict != Verdict.MISSING)]
    elif wanted.verdict is Verdict.MISSING:
        found += [_P.verdict == Verdict.MISSING, _P.credential_id.in_(_LACKING)]
    elif wanted.verdict is Verdict.GRANTED:
        found += [_P.verdict == Verdict.GRANTED, _P.undecided_as.is_(None)]
    return found


def _row(row: Row[Any]) -> VerdictRow:
    known = Verdict(row.verdict) if row.verdict else None
    left = Verdict(row.undecided_as) if row.undecided_as else None
    verdict = known if known is Verdict.MISSING or left is None else left
    return VerdictRow(
        credential_id=row.credential_id,
        tenant_id=row.tenant_id,
        credential_label=row.label,
        permission_id=row.permission_id,
        permission_group=row.permission_group,
        permission_label=row.permission_label,
        verdict=verdict or Verdict.UNDECIDED,
        known=known,
        since=row.since if verdict is known else row.undecided_since,
        reason=REASONS.get(row.undecided_reason or "", "") if verdict is left else "",
        rule=row.rule,
        suspect_since=row.suspect_since,
        last_granted_at=row.last_granted_at,
    )
