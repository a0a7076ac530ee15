"""The pages of a database that was made, and beside them a sweep that writes: the process that is measured.

    python -m tests.bench.page_server DATABASE_URL CHECKS_A_SECOND

Prints its address and a cookie. For each line on its standard input it prints what it did since the line before, and
it ends with its standard input.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, func, make_url, select
from sqlalchemy.engine import Engine

from checks.credential import CredentialState
from checks.report import CheckReport, Finding, Verdict
from monitor.checking import claim_queries
from monitor.checking.recording_queries import record
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from tests.bench.made_rows import fingerprint
from tests.bench.made_year import END, MadeYear
from tests.installation import POLICY, Clock
from tests.website import website

CHANGING = 0.02  # of all checks see something that was not so before
LOOP_EVERY_SECONDS = 0.02
_OPERATORS = ["dana"]


class RunningClock(Clock):
    """Goes on from the end of the year that was made."""

    _began = time.monotonic()

    def __init__(self) -> None:
        pass

    @property
    def now(self) -> datetime:  # type: ignore[override]
        return END + timedelta(seconds=time.monotonic() - self._began)


@dataclass
class Done:
    """`checks` are times in ms from claim to record, `loop` by how many ms the event loop was late."""

    statements: int = 0
    cpu_seconds: float = 0
    checks: list[float] = field(default_factory=list)
    loop: list[float] = field(default_factory=list)


class Sweep:
    """Claims and records checks at an even pace; there is no Greenhouse, and no time between the two."""

    def __init__(self, db: Database, clock: Clock, a_second: float) -> None:
        self._db = db
        self._clock = clock
        self._a_second = a_second
        self._year = MadeYear(0, 0)
        self._chance = random.Random(1)
        self.done = Done()

    async def run(self) -> None:
        async with self._db.reading() as conn:
            credentials = (await conn.execute(select(func.count()).select_from(CREDENTIAL))).scalar_one()
        step = next(each for each in (7919, 7927) if credentials % each)
        began, number = time.perf_counter(), 0
        while True:
            number += 1
            await asyncio.sleep(max(0, began + number / self._a_second - time.perf_counter()))
            await self._check(number * step % credentials + 1)

    async def _check(self, credential: int) -> None:
        began, now = time.perf_counter(), self._clock.read()
        async with self._db.writing() as conn:
            claim = await claim_queries.claim(conn, credential, now, POLICY.interval, now + timedelta(minutes=7))
        if claim is None:
            return
        missing = set(claim.suspicion.missing)
        if self._chance.random() < CHANGING:
            missing ^= {self._year.permissions[self._chance.choice(self._year.asked)].id}
        await record(self._db, claim, self._report(missing), fingerprint(credential), self._clock.read(), POLICY)
        self.done.checks.append((time.perf_counter() - began) * 1000)

    def _report(self, missing: set[str]) -> CheckReport:
        manifest, findings = self._year.manifest, tuple(self._findings(missing))
        return CheckReport(
            manifest_name=manifest.name,
            manifest_version=manifest.version,
            manifest_digest=manifest.digest,
            state=CredentialState.OK,
            detail="",
            findings=findings,
            refused=frozenset(f.endpoint for f in findings if f.endpoint and f.verdict is Verdict.MISSING),
            started_at=self._clock.read(),
            requests=70,
            duration_seconds=35.1,
        )

    def _findings(self, missing: set[str]) -> Iterator[Finding]:
        for permission in self._year.permissions:
            verdict = Verdict.GRANTED if permission.endpoint else Verdict.NOT_CHECKABLE
            verdict = Verdict.MISSING if permission.id in missing else verdict
            named = (permission.id, permission.group, permission.label)
            yield Finding(*named, verdict, "V20", "", permission.endpoint, permission.mapping)

    async def watch_loop(self) -> None:
        """How late the event loop is: all that a check does waits for it."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LOOP_EVERY_SECONDS)
            self.done.loop.append((time.perf_counter() - began - LOOP_EVERY_SECONDS) * 1000)


async def _serve(url: str, a_second: float) -> None:
    db, clock = Database(make_url(url)), RunningClock()
    sweep = Sweep(db, clock, a_second)

    @event.listens_for(Engine, "before_cursor_execute")
    def count(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        sweep.done.statements += statement.lstrip()[:4].upper() in ("SELE", "WITH", "INSE", "UPDA", "DELE")

    async with website(db, clock=clock, operators=_OPERATORS) as site:
        await site.signed_in()
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in site.browser.cookies.jar)
        print(json.dumps({"url": site.url, "cookie": cookies}), flush=True)
        tasks = [asyncio.create_task(sweep.run()), asyncio.create_task(sweep.watch_loop())] if a_second else []
        await _answer(sweep)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    await db.close()


async def _answer(sweep: Sweep) -> None:
    used = time.process_time()
    while await asyncio.to_thread(sys.stdin.readline):
        now = time.process_time()
        sweep.done.cpu_seconds, used = now - used, now
        shown = asdict(sweep.done)
        sweep.done = Done()
        print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))
