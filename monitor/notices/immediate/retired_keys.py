"""The notices of retired keys: each CSM gets one email about all of their customers, and another each month."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices.content.render import Renderer
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.content.shortening import in_parts
from monitor.notices.content.successor import Manifests
from monitor.notices.immediate.immediate_notice import write_immediate_notice
from monitor.notices.immediate.retired_keys_rules import (
    WHY,
    address_of,
    is_due,
    message_to_csm,
    newly_accepted,
    recipient_of,
    why_of,
)
from monitor.notices.policy import MAX_CLOCK_SKEW, NoticePolicy
from monitor.store.database import Database
from monitor.tenants import v3_migration_queries as store
from monitor.tenants.scope_acceptance_queries import accepted_at
from monitor.tenants.v3_migration import V1Key


@dataclass(frozen=True, slots=True)
class _Due:
    """A CSM with retired keys among their customers: since when, and when they last got an email about any.

    `in_time` says that the next one is due, whatever was accepted meanwhile.
    """

    address: str
    recipient: str
    first: datetime
    last: datetime | None
    in_time: bool

    @property
    def why(self) -> str:
        return why_of(self.address)


async def write_retired_key_notices(
    db: Database, policy: NoticePolicy, renderer: Renderer, manifests: Manifests, now: datetime
) -> None:
    """Write each notice in a transaction of its own: what a crash leaves out is due in the next run."""
    if policy.mode is NoticesMode.OFF:
        return
    async with db.reading() as conn:
        accepted = await accepted_at(conn)
    due = await _due(db, policy, now, max(accepted.values(), default=None))
    if not due:
        return
    async with db.reading() as conn:
        keys = _by_address(await store.retired_keys(conn))
    for one in due:
        theirs, last = keys.get(one.address, []), one.last
        if not one.in_time and (
            last is None or not await asyncio.to_thread(newly_accepted, theirs, manifests, accepted, last)
        ):
            continue
        message = await asyncio.to_thread(
            message_to_csm, theirs, manifests, policy, now, again=last is not None, accepted=accepted
        )
        if message is not None:
            # In a thread: some rounds of rendering find out how many customers fit into one email.
            parts = await asyncio.to_thread(in_parts, message, renderer.fits)
            await _write(db, policy, renderer, parts, one, now)


async def _due(db: Database, policy: NoticePolicy, now: datetime, accepted: datetime | None) -> list[_Due]:
    """Those whose time has come, and those who may get what was accepted last since their last email."""
    async with db.reading() as conn:
        since = await store.retired_since(conn)
        # A notice dated later was written under a wrong clock, and must not silence the next ones for a year.
        last = await store.last_notified(conn, WHY, now + MAX_CLOCK_SKEW) if since else {}
    due = []
    for address, of_one in groupby(sorted(since, key=_address), key=_address):
        csm_email, first = min(of_one, key=itemgetter(1))
        recipient = recipient_of(csm_email, policy)
        previous = last.get((why_of(address), recipient.lower()))
        one = _Due(address, recipient, first, previous, is_due(first, previous, policy, now))
        if one.in_time or (accepted is not None and previous is not None and accepted > previous):
            due.append(one)
    return due


def _by_address(keys: Iterable[V1Key]) -> dict[str, list[V1Key]]:
    found: dict[str, list[V1Key]] = {}
    for key in keys:
        found.setdefault(address_of(key.csm_email), []).append(key)
    return found


def _address(row: tuple[str | None, datetime]) -> str:
    return address_of(row[0])


async def _write(
    db: Database, policy: NoticePolicy, renderer: Renderer, parts: list[RetiredMessage], due: _Due, now: datetime
) -> None:
    """All parts in one transaction: the next run finds the last notice, and takes it for the whole."""
    async with db.writing() as conn:
        await store.lock_retired_notices(conn)
        last = await store.last_notified(conn, due.why, now + MAX_CLOCK_SKEW)
        if last.get((due.why, due.recipient.lower())) != due.last:
            return  # another composer was quicker
        facts = (due.why, due.recipient, due.first.isoformat(), due.last and due.last.isoformat())
        for part in parts:
            await write_immediate_notice(
                conn,
                policy,
                renderer,
                part,
                why=due.why,
                facts=facts if part.part == 1 else (*facts, part.part),
                now=now,
                audience=Audience.CSM,
                recipient=due.recipient,
            )
