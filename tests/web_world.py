"""A small installation with some of everything that pages and lists show, written by the service's own functions."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from checks.credential import CredentialState
from checks.report import CheckReport, Excess, WriteAlarm
from monitor.checking import recheck, sweep_queries, write_halt_queries
from monitor.config.settings import NoticesMode
from monitor.errors import FailureScope
from monitor.notices import operator_actions
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.outbox import Outbox
from monitor.notices.delivery.sender import MailSender
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from monitor.tenants.file import Declined, Paused, TenantConfig, TenantProblem
from tests.bursts import group_all
from tests.installation import START
from tests.notices import a_policy
from tests.outbox import SENDER, DeliveryCounts, FakeTransport
from tests.reports import HOUR, MINUTE, POLICY, failed, served
from tests.store import a_tenant, check, sync

WAVE = 14
"""Tenants that lose the same permission at once, so that the brake holds their notices."""
_WAVE = tuple(f"wave-{number}" for number in range(WAVE))
LIVES = ("lone", "dead", "unsure", "brandnew", "resting", "refuser", "two", "leaver", *_WAVE)
ALL = {"jobs": "g", "offers": "g", "users": "g"}
DAY = timedelta(days=1)


async def fill(db: Database, now: datetime = START, *, mark: str = "") -> None:
    """Tenants of every status, held, failed, sent and dropped notices, bursts, halts, sweeps and actions; each name
    and reason begins with `mark`.
    """
    world = _World(db, now, mark)
    await world.tenants()
    await world.first_checks()
    await world.two_losses()
    await world.wave()
    await world.halts()
    await world.actions()


class _World:
    def __init__(self, db: Database, now: datetime, mark: str) -> None:
        self._db, self._now, self._mark = db, now, mark
        self._credentials: Mapping[str, int] = {}

    async def tenants(self) -> None:
        await self._sync(*LIVES, at=self._now - 40 * DAY)
        async with self._db.reading() as conn:
            found = await conn.execute(select(CREDENTIAL.c.tenant_id, CREDENTIAL.c.id).order_by(CREDENTIAL.c.id.desc()))
            self._credentials = {row.tenant_id: row.id for row in found}

    async def _sync(self, *ids: str, at: datetime) -> None:
        broken = TenantProblem("broken", 1, f"{self._mark}tenants.yaml, line 1: wrong")
        await sync(self._db, *map(self._tenant, ids), problems=[broken], now=at)

    def _tenant(self, id_: str) -> TenantConfig:
        labels = [f"{self._mark}Gem Harvest API Key", *([f"{self._mark}Zweiter"] if id_ == "two" else [])]
        made = a_tenant(
            id_,
            *labels,
            name=f"{self._mark}{id_.title()} Corp",
            features=["eeoc"] if id_ == "lone" else [],
            declined=[Declined("users", f"{self._mark}ticket 1", None, f"{self._mark}Lee")] if id_ == "refuser" else [],
            paused=Paused(f"{self._mark}ticket 2", None, f"{self._mark}Lee") if id_ == "resting" else None,
        )
        return replace(made, csm_name=f"{self._mark}Dana", csm_email=f"dana+{id_}@vendor.example")

    async def first_checks(self) -> None:
        """All is well, but for a dead key, and a tenant of which nothing can be decided."""
        at = self._now - 39 * DAY
        await self._check("dead", failed(CredentialState.INVALID, "revoked"), at, at + MINUTE)
        await self._check("unsure", served({f"permission{n}": "u" for n in range(9)}), at)
        for id_ in ("lone", "refuser", "two", "leaver", *_WAVE):
            await self._check(id_, served(ALL), at)
        await self._check("refuser", served({**ALL, "users": "m"}, declined=["users"]), at + HOUR)

    async def two_losses(self) -> None:
        """One is told; the email about the other fails, and its end is told to nobody."""
        excess = [Excess(f"{self._mark}POST: more", "POST /v1/more", certain=True)]
        at = self._now - DAY
        await self._check("lone", served({**ALL, "jobs": "m"}, excess=excess), at, at + MINUTE)
        await self._compose(at + HOUR, FakeTransport())
        await self._check("two", served({**ALL, "jobs": "m"}), at + HOUR, at + HOUR + MINUTE)
        refuses = FakeTransport()
        refuses.refuses(f"{self._mark}550 no such reader", FailureScope.ADDRESS, permanent=True)
        await self._compose(at + 2 * HOUR, refuses)
        await self._check("two", served(ALL), at + 3 * HOUR)

    async def wave(self) -> None:
        """Many tenants lose the same; one has it back by now, and another tenant was removed."""
        at = self._now - 2 * HOUR
        for id_ in _WAVE:
            await self._check(id_, served({**ALL, "offers": "m"}), at, at + MINUTE)
        await self._compose(at + HOUR, FakeTransport())
        await self._check("wave-0", served(ALL), at + 70 * MINUTE)
        await self._sync(*(id_ for id_ in LIVES if id_ != "leaver"), at=self._now - HOUR)
        await group_all(self._db)
        async with self._db.writing() as conn:
            for hours in (8, 4, 0):
                await sweep_queries.keep(conn, self._now - hours * HOUR, POLICY.interval)

    async def _check(self, id_: str, report: CheckReport, *moments: datetime) -> None:
        marked = tuple(
            replace(one, label=f"{self._mark}{one.label}", group=f"{self._mark}{one.group}") for one in report.findings
        )
        for moment in moments:
            made = replace(report, findings=marked, started_at=moment)
            await check(self._db, made, moment, credential_id=self._credentials[id_])

    async def _compose(self, at: datetime, transport: FakeTransport) -> None:
        await Composer(self._db, a_policy(NoticesMode.CSM), Renderer()).run_once(at)
        outbox = Outbox(
            self._db, MailSender(transport, SENDER, DeliveryCounts(), jitter=lambda: 0, now=lambda: at), lambda: at
        )
        await outbox.deliver()
        await outbox.settled()

    async def halts(self) -> None:
        async with self._db.writing() as conn:
            for at, lifted in ((self._now - 3 * DAY, True), (self._now - HOUR, False)):
                alarm = WriteAlarm("POST /v1/candidates", 201, at, f"{self._mark}req", f"{self._mark}4711", "all")
                await write_halt_queries.halt(conn, alarm, "lone", self._credentials["lone"])
                if lifted:
                    await write_halt_queries.lift(conn, f"{self._mark}lee", f"{self._mark}nothing", at + HOUR)

    async def actions(self) -> None:
        listed = await operator_actions.listing(self._db)
        held = sorted(notice.id for notice in listed if notice.status == "held")
        who, reason = f"{self._mark}lee", f"{self._mark}not needed"
        await operator_actions.drop(self._db, self._now - 30 * MINUTE, who, reason, held[:1])
        await recheck.ask(self._db, ["unsure"], who, reason, self._now - 20 * MINUTE)
