"""Signed histories for tests: rows to sign, and what a verification finds."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT, INCIDENT, NOTICE, NOTICE_ACTION, OPERATOR_ACTION
from monitor.upkeep.audit.chain import AuditKey, ChainHead
from monitor.upkeep.audit.chain_report import ChainReport
from monitor.upkeep.audit.signer import HistorySigner
from monitor.upkeep.audit.verifier import HistoryVerifier
from tests.store import T0, a_tenant, an_action, sync

SECRET = bytes(range(32))
CHAIN_KEY = AuditKey.derived(SECRET)


def an_event(at: datetime = T0, **columns: Any) -> dict[str, Any]:
    """With a value in every column that a signature covers."""
    return {
        "at": at, "kind": "lost", "tenant_id": "acme", "credential_id": 1, "incident_id": 1, "permission_id": "offers",
        "permission_group": "Offers", "permission_label": "GET: Offers’ “list”", "mapping": "likely", "rule": "V2",
        "state": "ok", "detail": "", "seen_before": at - timedelta(hours=4), "first_seen": at,
        "manifest_digest": "d" * 16, **columns,
    }  # fmt: skip


async def prepared(db: Database) -> None:
    """A tenant with a resolved incident, and two sent notices."""
    await sync(db, a_tenant("acme"), a_tenant("globex"))
    notice = {
        "tenant_id": "acme", "audience": "csm", "status": "sent", "why": "", "recipient": "d@v.example", "subject": "",
        "text": "", "html": "", "created_at": T0, "attempts": 1, "sent_at": T0,
    }  # fmt: skip
    async with db.writing() as conn:
        await conn.execute(insert(INCIDENT), [{"tenant_id": "acme", "opened_at": T0, "resolved_at": T0}])
        await conn.execute(insert(NOTICE), [{**notice, "message_id": f"<{n}>"} for n in range(3)])


async def record_events(db: Database, count: int, at: datetime = T0, **columns: Any) -> None:
    async with db.writing() as conn:
        await conn.execute(insert(DRIFT_EVENT), [an_event(at, **columns) for _ in range(count)])


async def record_action(db: Database, notices: Sequence[int] = (), at: datetime = T0) -> int:
    async with db.writing() as conn:
        added = await conn.execute(insert(OPERATOR_ACTION).values(an_action(at)).returning(OPERATOR_ACTION.c.id))
        action_id = int(added.scalar_one())
        for notice in notices:
            await conn.execute(insert(NOTICE_ACTION).values(notice_id=notice, action_id=action_id))
    return action_id


async def sign(db: Database, key: AuditKey = CHAIN_KEY, batch: int = 5, at: datetime = T0) -> int:
    """As a service does that has just started."""
    return await HistorySigner(db, key, batch).run_once(at)


async def verify(
    db: Database, key: AuditKey = CHAIN_KEY, *, first: int = 1, noted: ChainHead | None = None, page: int = 3
) -> ChainReport:
    """Few batches in a transaction, so that most tests cross its border."""
    return await HistoryVerifier(db, key, first=first, noted=noted, page=page).run()


async def problems(db: Database, key: AuditKey = CHAIN_KEY) -> list[tuple[str, int | None, int | None]]:
    """Each finding, with the first and last batch it names."""
    return [(f.problem, f.batch, f.last_batch) for f in (await verify(db, key)).findings]


async def tamper(db: Database, *statements: str) -> None:
    """As somebody who can write the database and minds no references between tables."""
    if db.is_sqlite:
        with closing(sqlite3.connect(str(db.url.database), isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for statement in statements:
                connection.execute(statement)
        return
    async with db.writing() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await conn.execute(text(statement))
