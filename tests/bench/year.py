"""A year of a vendor's service in a few minutes: its real parts around the store, with a simulated clock.

    .venv/bin/python -m tests.bench.year --tenants 20 --days 365

There is no Greenhouse: results of checks are made up here, for customers who untick permissions at an assumed rate.
"""

import argparse
import asyncio
import heapq
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from checks.credential import CredentialState
from checks.manifest import Manifest, load
from checks.report import CheckReport, Finding, Verdict
from monitor.checking import claim_queries, sweep_queries
from monitor.checking.recording_queries import record
from monitor.config.retention import Keep
from monitor.config.settings import NoticesMode
from monitor.drift import DriftPolicy
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.logs import LogFormat, LogLevel, configure
from monitor.metrics import Metrics
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.notices.policy import NoticePolicy
from monitor.store import sizes
from monitor.store.database import Database, open_database
from monitor.upkeep.pruner import Pruner
from tests.store import a_tenant, sync

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = DriftPolicy(confirm_after=timedelta(seconds=60), interval=timedelta(hours=4))
KEEP = Keep(checks=30 * DAY, notice_texts=90 * DAY)
NOTICES = NoticePolicy(
    mode=NoticesMode.CSM,
    settle=timedelta(minutes=15),
    mail_from="Harvest Monitor <monitor@vendor.example>",
    operator_mail="ops@vendor.example",
)


@dataclass(frozen=True, slots=True)
class Customers:
    """How each customer behaves: losses a year, permissions lost at once, and days until they are restored."""

    losses_a_year: float = 6
    permissions_at_once: int = 3
    days_to_restore: float = 5


@dataclass
class Year:
    """Tenants whose credentials lose permissions and get them back; `run` lets days pass."""

    db: Database
    customers: Customers
    random: random.Random
    manifest: Manifest = field(default_factory=lambda: load("gem"))
    now: datetime = BEGIN
    missing: dict[int, dict[str, datetime]] = field(default_factory=dict)
    checks: int = 0

    async def begin(self, tenants: int) -> None:
        names = (f"customer-{number:05}" for number in range(tenants))
        await sync(self.db, *(a_tenant(name, reference=f"file:/run/keys/{name}") for name in names), now=self.now)

    async def run(self, days: float) -> None:
        """Check every credential when it is due, do the rest of `serve`'s work each interval, and prune each day."""
        end = self.now + days * DAY
        async with self.db.reading() as conn:
            found = await claim_queries.due(conn, self.now, 1_000_000)
        due = [(self.now, credential_id) for credential_id in [*found.pressing, *found.ordinary]]
        heapq.heapify(due)
        composer = Composer(self.db, NOTICES, Renderer())
        sender = MailSender(
            _AcceptingTransport(), NOTICES.mail_from, Metrics("bench"), jitter=lambda: 0.5, now=lambda: self.now
        )
        outbox = Outbox(self.db, sender, lambda: self.now)
        pruner = Pruner(self.db, KEEP, rest_seconds=0)
        next_interval, next_day = self.now + POLICY.interval, self.now
        while due and due[0][0] < end:
            while next_interval <= due[0][0]:
                self.now = next_interval
                await self._each_interval(composer, outbox)
                next_interval += POLICY.interval
            if next_day <= due[0][0]:
                await pruner.run_once(next_day)
                next_day += DAY
            self.now, credential_id = heapq.heappop(due)
            heapq.heappush(due, (await self._check(credential_id), credential_id))

    async def _each_interval(self, composer: Composer, outbox: Outbox) -> None:
        async with self.db.writing() as conn:
            await sweep_queries.keep(conn, self.now, POLICY.interval)
        await BurstGrouper(self.db, rest_seconds=0).run_once()
        if await composer.run_once(self.now):
            await outbox.deliver()
            await outbox.settled()

    async def _check(self, credential_id: int) -> datetime:
        async with self.db.writing() as conn:
            claim = await claim_queries.claim(
                conn, credential_id, self.now, POLICY.interval, leased_until=self.now + timedelta(minutes=7)
            )
        assert claim is not None
        fingerprint = f"{credential_id:016x}"
        only = claim.suspicion.only(fingerprint, self.manifest.digest)
        report = self._report(self._missing(credential_id), only)
        recorded = await record(self.db, claim, report, fingerprint, self.now, POLICY)
        assert recorded is not None
        self.checks += 1
        return recorded.next_due

    def _missing(self, credential_id: int) -> Mapping[str, datetime]:
        """What the customer has unticked by now: without what was restored, and perhaps with something new."""
        missing = self.missing.setdefault(credential_id, {})
        for permission, until in list(missing.items()):
            if until <= self.now:
                del missing[permission]
        if self.random.random() < self.customers.losses_a_year / 365 / (DAY / POLICY.interval):
            restored = self.now + self.random.expovariate(1 / self.customers.days_to_restore) * DAY
            required = [p.id for p in self.manifest.permissions if p.feature is None and p.endpoint]
            missing.update(dict.fromkeys(self.random.sample(required, self.customers.permissions_at_once), restored))
        return missing

    def _report(self, missing: Mapping[str, datetime], only: frozenset[str] | None) -> CheckReport:
        findings = tuple(self._findings(missing, only))
        return CheckReport(
            manifest_name=self.manifest.name,
            manifest_version=self.manifest.version,
            manifest_digest=self.manifest.digest,
            state=CredentialState.OK,
            detail="",
            findings=findings,
            refused=frozenset(f.endpoint for f in findings if f.endpoint and f.verdict is Verdict.MISSING),
            started_at=self.now,
            requests=70 if only is None else len(only),
            duration_seconds=35.123456 if only is None else 0.654321,
            partial=only is not None,
        )

    def _findings(self, missing: Mapping[str, datetime], only: frozenset[str] | None) -> Iterable[Finding]:
        for permission in self.manifest.permissions:
            if permission.feature is None and (only is None or permission.id in only):
                is_missing = permission.id in missing
                verdict = Verdict.MISSING if is_missing else Verdict.GRANTED if permission.endpoint else _NO_ENDPOINT
                reason = "refused_by_permission" if is_missing else ""
                named = (permission.id, permission.group, permission.label)
                # One control, as most verdicts have; with data or a refusal of its own a verdict has none.
                told: dict[str, Any] = {"answered_status": 403 if is_missing else 404, "evidence": _CONTROL}
                yield Finding(*named, verdict, "V20", reason, permission.endpoint, permission.mapping, **told)


_NO_ENDPOINT = Verdict.NOT_CHECKABLE
_CONTROL = ("GET /v1/approval_flows/{id}",)


class _AcceptingTransport:
    """A mail server that accepts every mail."""

    longest = timedelta(minutes=1)

    async def send(self, message: EmailMessage) -> None:
        pass


async def simulate(url: URL, tenants: int, days: float, customers: Customers | None = None, seed: int = 1) -> Year:
    """A new database after so many days of so many tenants; the caller must close it."""
    year = Year(await open_database(url), customers or Customers(), random.Random(seed))
    await year.begin(tenants)
    await year.run(days)
    return year


def table(found: Iterable[sizes.TableSize], tenants: int) -> str:
    """Rows and bytes of each table, and what that is for 10,000 tenants."""
    lines = ["table                  rows       bytes   bytes/row   MB for 10,000 tenants"]
    for size in sorted(found, key=lambda size: -(size.bytes or 0)):
        each = (size.bytes or 0) / max(1, size.rows)
        scaled = (size.bytes or 0) / tenants * 10_000 / 1e6
        lines.append(f"{size.name:18} {size.rows:>8} {size.bytes or 0:>11} {each:>11.0f} {scaled:>23.1f}")
    return "\n".join(lines)


async def _main(tenants: int, days: float, folder: Path) -> None:
    url = URL.create("sqlite+aiosqlite", database=str(folder / "year.sqlite3"))
    year = await simulate(url, tenants, days)
    async with year.db.reading() as conn:
        found, whole = await sizes.of_tables(conn), await sizes.of_database(conn)
    await year.db.close()
    print(f"{tenants} tenants, {days:g} days, {year.checks} checks; {year.customers}")
    print(table(found, tenants))
    print(f"in use {whole.used}, free within the file {whole.free}, log {whole.wal} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--folder", type=Path, help="where the database is written; a temporary folder by default")
    options = parser.parse_args()
    configure(LogLevel.WARNING, LogFormat.AUTO, sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(_main(options.tenants, options.days, options.folder or Path(temporary)))
