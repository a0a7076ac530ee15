"""What a database and a mail server hold after faults, and what of it should not be so."""

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from monitor.config import addresses
from monitor.store.database import Database
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, INCIDENT, NOTICE
from tests.faults.post import Mail, told
from tests.faults.script import Turner, csm_of
from tests.faults.world import World

_BEGINS = {"regained": ("lost", "found"), "recovered": ("credential_failed",)}
_WORDS = {"lost": "missing", "regained": "is back", "credential_failed": "no longer works", "recovered": "works again"}


@dataclass
class Findings:
    """What was turned, lost (an event, a mail, a check that never came), doubled, and otherwise not as it must be."""

    turns: int = 0
    events_lost: list[str] = field(default_factory=list)
    mails_lost: list[str] = field(default_factory=list)
    events_doubled: list[str] = field(default_factory=list)
    mails_doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        self.turns += other.turns
        self.events_lost += other.events_lost
        self.mails_lost += other.mails_lost
        self.events_doubled += other.events_doubled
        self.mails_doubled += other.mails_doubled
        self.wrong += other.wrong

    @property
    def fatal(self) -> list[str]:
        return [*self.events_lost, *self.mails_lost, *self.events_doubled, *self.wrong]


@dataclass(frozen=True)
class Stored:
    events: list[Row[Any]]
    causes: list[Row[Any]]
    notices: list[Row[Any]]
    credentials: list[Row[Any]]
    open_incidents: list[Row[Any]]


async def _read(url: str) -> Stored:
    database = Database(addresses.database_address(url))
    try:
        async with database.reading() as conn:
            statements = (
                select(DRIFT_EVENT).order_by(DRIFT_EVENT.c.id),
                select(CAUSE),
                select(NOTICE),
                select(CREDENTIAL),
                select(INCIDENT).where(INCIDENT.c.resolved_at.is_(None)),
            )
            return Stored(*[list((await conn.execute(statement)).all()) for statement in statements])
    finally:
        await database.close()


async def settled(url: str) -> bool:
    """Nothing waits to be told or to be sent."""
    stored = await _read(url)
    return all(cause.settled_at for cause in stored.causes) and all(n.status != "pending" for n in stored.notices)


def damage(database: Path) -> list[str]:
    """What SQLite itself finds wrong with a file."""
    with closing(sqlite3.connect(database)) as conn:
        integrity = [row[0] for row in conn.execute("PRAGMA integrity_check")]
        references = conn.execute("PRAGMA foreign_key_check").fetchall()
    return [text for text in integrity if text != "ok"] + [f"dangling reference {row}" for row in references]


def after_a_kill(world: World) -> list[str]:
    """What is wrong with what a killed service left behind, seen in a copy: the next start finds it as it was."""
    if world.sqlite is None:
        return _plans(world, asyncio.run(_read(world.database_url)))
    if not world.sqlite.exists():
        return []
    copy = world.vendor.folder / "after-a-kill.sqlite3"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        if (left := Path(f"{world.sqlite}{suffix}")).exists():
            shutil.copy(left, f"{copy}{suffix}")
    if wrong := damage(copy):
        return wrong
    return _plans(world, asyncio.run(_read(f"sqlite:///{copy}"))) if _has_tables(copy) else []


def _has_tables(database: Path) -> bool:
    """All of them, or none: a first start was killed before they were there."""
    with closing(sqlite3.connect(database)) as conn:
        found = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return found != set()


def _plans(world: World, stored: Stored) -> list[str]:
    """Every credential is due within an interval, or within its hold if it was being checked."""
    latest = datetime.now(UTC) + max(world.interval, world.lease)
    return [
        f"{each.tenant_id} would be checked at {each.next_due}"
        for each in stored.credentials
        if each.next_due is None or each.next_due > latest
    ]


def at_the_end(world: World) -> Findings:
    """Everything was put right and told, and the service was stopped."""
    turners = [customer for customer in world.script.customers if isinstance(customer, Turner)]
    found = judge(turners, asyncio.run(_read(world.database_url)), world.post.mails())
    if world.vendor.sandbox.request_log.change_count:
        found.wrong.append("something was changed at Greenhouse")
    if world.sqlite is not None:
        found.wrong += damage(world.sqlite)
    return found


def judge(turners: Iterable[Turner], stored: Stored, mails: list[Mail]) -> Findings:
    """What customers did, against what was written down and sent."""
    found = Findings()
    for turner in turners:
        _turns(turner, stored, found)
        _mails(turner, told(mails, csm_of(turner.tenant_id)), found)
    found.wrong += _sequences(stored.events)
    found.wrong += _credentials(stored)
    found.wrong += _outbox(stored, mails, found)
    return found


def _turns(customer: Turner, stored: Stored, found: Findings) -> None:
    events = [event.kind for event in stored.events if event.tenant_id == customer.tenant_id and _counts(event)]
    found.turns += len(customer.turns)
    lost, doubled = Counter(customer.turns) - Counter(events), Counter(events) - Counter(customer.turns)
    found.events_lost += [f"{customer.tenant_id}: no event {kind}" for kind in lost.elements()]
    found.events_doubled += [f"{customer.tenant_id}: one event {kind} too many" for kind in doubled.elements()]
    if events != customer.turns and not lost and not doubled:
        found.wrong.append(f"{customer.tenant_id}: events out of order")


def _counts(event: Row[Any]) -> bool:
    """An outage of Greenhouse is nothing a customer did."""
    return event.permission_id is not None or event.state == "invalid"


def _mails(customer: Turner, got: list[Mail], found: Findings) -> None:
    for turn, mail in zip(customer.turns, got, strict=False):
        if _WORDS[turn] not in mail.subject:
            found.wrong.append(f"{customer.tenant_id}: {turn} was told as {mail.subject!r}")
    found.mails_lost += [f"{customer.tenant_id}: {turn} was not told" for turn in customer.turns[len(got) :]]
    found.wrong += [f"{customer.tenant_id}: told of nothing by {m.subject!r}" for m in got[len(customer.turns) :]]


def _sequences(events: Iterable[Row[Any]]) -> list[str]:
    """What was lost comes back before it is lost again, and nothing comes back that was not gone."""
    subjects: dict[tuple[int, str | None], list[Row[Any]]] = {}
    for event in events:
        subjects.setdefault((event.credential_id, event.permission_id), []).append(event)
    wrong = []
    for (_, permission), theirs in subjects.items():
        for before, after in pairwise([None, *theirs]):
            if not _may_follow(before, after):
                said = f"{before.kind} {before.state}" if before else "nothing"
                wrong.append(f"{after.tenant_id} {permission}: {after.kind} {after.state} after {said}")
    return wrong


def _may_follow(before: Row[Any] | None, after: Row[Any]) -> bool:
    if after.kind in _BEGINS:
        return before is not None and before.kind in _BEGINS[after.kind]
    if before is None or before.kind in _BEGINS:
        return True
    return after.kind == "credential_failed" and after.state != before.state


def _credentials(stored: Stored) -> list[str]:
    wrong = [f"{incident.tenant_id}: its incident is open, and nothing is wrong" for incident in stored.open_incidents]
    for each in stored.credentials:
        if (each.state, each.suspect_state, each.missing, each.suspects) != ("ok", None, 0, 0):
            wrong.append(f"{each.tenant_id}: in doubt, and nothing is wrong")
    return wrong


def _outbox(stored: Stored, mails: list[Mail], found: Findings) -> list[str]:
    """Every notice is a mail and every mail a notice; what is settled was told or came to nothing."""
    times = Counter(mail.message_id for mail in mails)
    found.mails_doubled += sum(times.values()) - len(times)
    known = {notice.message_id for notice in stored.notices}
    wrong = [f"a mail of no notice: {message_id}" for message_id in times.keys() - known]
    for notice in stored.notices:
        if notice.status != "sent":
            wrong.append(f"notice {notice.id} is {notice.status}")
        elif notice.message_id not in times:
            found.mails_lost.append(f"notice {notice.id} is marked as sent, and was not")
    return wrong + [f"cause {cause.id} is not settled" for cause in stored.causes if cause.settled_at is None]
