"""The statements of the outbox: claiming the next notice, and recording what came of it."""

from collections.abc import Collection
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents.rules import Audience
from monitor.notices.notice import ClaimedNotice, Status
from monitor.store.tables import NOTICE, TENANT

_CLAIMED = [NOTICE.c[each.name] for each in fields(ClaimedNotice) if each.name != "reader"]


async def claim(
    conn: AsyncConnection, due: datetime, until: datetime, busy_domains: Collection[str] = ()
) -> ClaimedNotice | None:
    """The next notice, claimed for the caller until the given moment.

    The operator's notices go first, then the longest due; readers at `busy_domains` wait for all others. A notice never
    overtakes an earlier one to the same reader about the same tenant: the email that arrives last must be the latest.
    """
    earlier = NOTICE.alias()
    overtakes = exists().where(
        earlier.c.tenant_id == NOTICE.c.tenant_id,
        earlier.c.recipient == NOTICE.c.recipient,
        earlier.c.status == Status.PENDING,
        earlier.c.id < NOTICE.c.id,
    )
    is_due = (NOTICE.c.status == Status.PENDING, NOTICE.c.next_attempt_at <= due, ~overtakes)
    order = [NOTICE.c.audience != Audience.OPERATOR, NOTICE.c.next_attempt_at, NOTICE.c.id]
    if busy_domains:
        order.insert(0, or_(*[NOTICE.c.recipient.iendswith(f"@{name}", autoescape=True) for name in busy_domains]))
    # Only ids are sorted: rows are long, and reading ten thousand of them took a quarter of a second for each email.
    first = select(NOTICE.c.id).where(*is_due).order_by(*order).limit(1)
    statement = (
        update(NOTICE)
        # Processes share the work: each skips what another is claiming. SQLite ignores the lock; it has one writer.
        .where(NOTICE.c.id == first.with_for_update(skip_locked=True).scalar_subquery(), *is_due)
        .values(attempts=NOTICE.c.attempts + 1, next_attempt_at=until)
        .returning(*_CLAIMED, NOTICE.c.tenant_id)
    )
    row = (await conn.execute(statement)).one_or_none()
    if row is None:
        return None
    *facts, tenant_id = row
    notice = ClaimedNotice(*facts)
    return replace(notice, reader=await _reader(conn, notice.recipient, tenant_id))


async def _reader(conn: AsyncConnection, recipient: str, tenant_id: str | None) -> str:
    """The name that the tenants file gives the CSM at this address; empty if it names nobody there."""
    named = select(TENANT.c.csm_name).where(TENANT.c.csm_email == recipient, TENANT.c.csm_name.is_not(None))
    if tenant_id is not None:
        named = named.where(TENANT.c.id == tenant_id)
    return (await conn.execute(named.limit(1))).scalar_one_or_none() or ""


async def mark_sent(conn: AsyncConnection, notice_id: int, at: datetime) -> None:
    """The mail server has it, even if another process has claimed it meanwhile."""
    columns = {"status": Status.SENT, "sent_at": at, "next_attempt_at": None, "last_error": None}
    statement = update(NOTICE).where(NOTICE.c.id == notice_id, NOTICE.c.status == Status.PENDING)
    await conn.execute(statement.values(columns))


async def end_claim(conn: AsyncConnection, notice_id: int, claimed_until: datetime, **columns: Any) -> None:
    """Record what came of a notice that was not sent, unless the caller has lost its claim."""
    # The moment identifies the claim: a process that has claimed the notice since has written another one.
    ours = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at == claimed_until)
    await conn.execute(update(NOTICE).where(NOTICE.c.id == notice_id, ours).values(columns))


async def delay_reader(conn: AsyncConnection, recipient: str, now: datetime, until: datetime) -> None:
    """Everything due to a reader who was just refused waits together with the refused notice."""
    is_due = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at <= now)
    due = select(NOTICE.c.id).where(is_due, NOTICE.c.recipient == recipient).with_for_update(skip_locked=True)
    await conn.execute(update(NOTICE).where(NOTICE.c.id.in_(due)).values(next_attempt_at=until))


async def repair_schedule(conn: AsyncConnection, now: datetime, longest_wait: timedelta, claim_time: timedelta) -> int:
    """After the clock was set back: notices due later than any wait explains are due after `claim_time`.

    Not at once, since one of them may be on its way. Returns how many there were.
    """
    latest = now + max(longest_wait, claim_time)
    astray = (NOTICE.c.status == Status.PENDING) & (NOTICE.c.next_attempt_at > latest)
    return (await conn.execute(update(NOTICE).where(astray).values(next_attempt_at=now + claim_time))).rowcount
