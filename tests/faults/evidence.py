"""What a database and a mail server contain after faults, and what is wrong with it."""

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

from monitor import database_address
from monitor.store.database import Database
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, INCIDENT, NOTICE
from tests.faults.mail_server import Mail, received
from tests.faults.script import ChangingCustomer, csm_of
from tests.faults.world import World

_ENDS = {"regained": ("lost", "found"), "recovered": ("credential_failed",)}
_WORDS = {
    "lost": "missing",
    "regained": "restored",
    "credential_failed": "has lost access",
    "recovered": "access to Greenhouse again",
}


@dataclass
class Findings:
    """What customers changed, and what was lost (an event or a mail), doubled, or otherwise wrong."""

    changes: int = 0
    events_lost: list[str] = field(default_factory=list)
    mails_lost: list[str] = field(default_factory=list)
    events_doubled: list[str] = field(default_factory=list)
    mails_doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        self.changes += other.changes
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
    database = Database(database_address.database_address(url))
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
    """Nothing waits for a notice or to be sent."""
    stored = await _read(url)
    return all(cause.settled_at for cause in stored.causes) and all(n.status != "pending" for n in stored.notices)


def damage(database: Path) -> list[str]:
    """What SQLite itself finds wrong with a file."""
    with closing(sqlite3.connect(database)) as conn:
        integrity = [row[0] for row in conn.execute("PRAGMA integrity_check")]
        references = conn.execute("PRAGMA foreign_key_check").fetchall()
    return [text for text in integrity if text != "ok"] + [f"dangling reference {row}" for row in references]


def after_a_kill(world: World) -> list[str]:
    """What is wrong with what a killed service left behind. Inspects a copy, so the next start finds it unchanged."""
    if world.sqlite is None:
        return _due_dates(world, asyncio.run(_read(world.database_url)))
    if not world.sqlite.exists():
        return []
    copy = world.harness.folder / "after-a-kill.sqlite3"
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        if (left := Path(f"{world.sqlite}{suffix}")).exists():
            shutil.copy(left, f"{copy}{suffix}")
    if wrong := damage(copy):
        return wrong
    return _due_dates(world, asyncio.run(_read(f"sqlite:///{copy}"))) if _has_tables(copy) else []


def _has_tables(database: Path) -> bool:
    """Whether there are tables at all: a first start may be killed before it creates them."""
    with closing(sqlite3.connect(database)) as conn:
        found = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return found != set()


def _due_dates(world: World, stored: Stored) -> list[str]:
    """Every credential is due within an interval, or within its lease if it was being checked."""
    latest = datetime.now(UTC) + max(world.interval, world.lease)
    return [
        f"{each.tenant_id} would be checked at {each.next_due}"
        for each in stored.credentials
        if each.next_due is None or each.next_due > latest
    ]


def at_the_end(world: World) -> Findings:
    """What is wrong after everything was restored and notified, and the service stopped."""
    changing = [customer for customer in world.script.customers if isinstance(customer, ChangingCustomer)]
    found = judge(changing, asyncio.run(_read(world.database_url)), world.mail_server.mails())
    if world.harness.sandbox.request_log.change_count:
        found.wrong.append("something was changed at Greenhouse")
    if world.sqlite is not None:
        found.wrong += damage(world.sqlite)
    return found


def judge(customers: Iterable[ChangingCustomer], stored: Stored, mails: list[Mail]) -> Findings:
    """Compares what customers did with what was recorded and sent."""
    found = Findings()
    for customer in customers:
        _events(customer, stored, found)
        _mails(customer, received(mails, csm_of(customer.tenant_id)), found)
    found.wrong += _sequences(stored.events)
    found.wrong += _credentials(stored)
    found.wrong += _outbox(stored, mails, found)
    return found


def _events(customer: ChangingCustomer, stored: Stored, found: Findings) -> None:
    events = [event.kind for event in stored.events if event.tenant_id == customer.tenant_id and _by_customer(event)]
    found.changes += len(customer.changes)
    lost, doubled = Counter(customer.changes) - Counter(events), Counter(events) - Counter(customer.changes)
    found.events_lost += [f"{customer.tenant_id}: no event {kind}" for kind in lost.elements()]
    found.events_doubled += [f"{customer.tenant_id}: one event {kind} too many" for kind in doubled.elements()]
    if events != customer.changes and not lost and not doubled:
        found.wrong.append(f"{customer.tenant_id}: events out of order")


def _by_customer(event: Row[Any]) -> bool:
    """False for an outage of Greenhouse, which no customer caused."""
    return event.permission_id is not None or event.state == "invalid"


def _mails(customer: ChangingCustomer, got: list[Mail], found: Findings) -> None:
    for change, mail in zip(customer.changes, got, strict=False):
        if _WORDS[change] not in mail.subject:
            found.wrong.append(f"{customer.tenant_id}: {change} was reported as {mail.subject!r}")
    found.mails_lost += [f"{customer.tenant_id}: {change} was not reported" for change in customer.changes[len(got) :]]
    found.wrong += [f"{customer.tenant_id}: no change for {m.subject!r}" for m in got[len(customer.changes) :]]


def _sequences(events: Iterable[Row[Any]]) -> list[str]:
    """What was lost is regained before it is lost again, and only what was lost is regained."""
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
    if after.kind in _ENDS:
        return before is not None and before.kind in _ENDS[after.kind]
    if before is None or before.kind in _ENDS:
        return True
    return after.kind == "credential_failed" and after.state != before.state


def _credentials(stored: Stored) -> list[str]:
    wrong = [f"{incident.tenant_id}: its incident is open, but nothing is wrong" for incident in stored.open_incidents]
    for each in stored.credentials:
        if (each.state, each.suspect_state, each.missing, each.suspects) != ("ok", None, 0, 0):
            wrong.append(f"{each.tenant_id}: its state is not ok, but nothing is wrong")
    return wrong


def _outbox(stored: Stored, mails: list[Mail], found: Findings) -> list[str]:
    """Every notice was mailed and every mail has a notice; every cause is settled."""
    times = Counter(mail.message_id for mail in mails)
    found.mails_doubled += sum(times.values()) - len(times)
    known = {notice.message_id for notice in stored.notices}
    wrong = [f"a mail without a notice: {message_id}" for message_id in times.keys() - known]
    for notice in stored.notices:
        if notice.status != "sent":
            wrong.append(f"notice {notice.id} is {notice.status}")
        elif notice.message_id not in times:
            found.mails_lost.append(f"notice {notice.id} is marked as sent, but was not")
    return wrong + [f"cause {cause.id} is not settled" for cause in stored.causes if cause.settled_at is None]
