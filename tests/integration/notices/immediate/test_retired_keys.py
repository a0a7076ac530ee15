"""Keys that Greenhouse retires: one email to each CSM, and one a month, on SQLite and on Postgres."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from checks.credential import CredentialKind, CredentialState
from checks.manifest import Manifest, load
from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices.compose.composer import Composer
from monitor.notices.content.messages import Message
from monitor.notices.content.render import Renderer
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.immediate.retired_keys_rules import WHY
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, NOTICE, TENANT, Credential
from monitor.tenants.scope_acceptance_queries import accept
from monitor.tenants.v3_migration import MigrationStage
from monitor.tenants.v3_migration_queries import v1_keys
from monitor.upkeep.consistency_queries import of_records
from tests.notices import OPERATOR, a_policy
from tests.reports import HOUR, MINUTE, T0, served
from tests.store import a_tenant, check, retire, sync

DAY = timedelta(days=1)
GATHERED = T0 + 7 * HOUR
DANA, LEE = "dana@vendor.example", "lee@vendor.example"

Notice = tuple[str, str]
"""Reader and subject."""


class Vendor:
    """Tenants whose keys change, and a composer that the test runs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ids: dict[str, int] = {}
        self.renderer = Renderer()

    async def has(self, **csm_of: str | None) -> None:
        """Tenants by id, with the address of each one's CSM."""
        await sync(
            self.database,
            *(replace(a_tenant(id_), csm_email=csm, row_digest=f"{id_}{csm}") for id_, csm in csm_of.items()),
        )
        async with self.database.reading() as conn:
            self.ids = {row.tenant_id: row.id for row in await conn.execute(select(CREDENTIAL))}

    async def retires(self, tenant: str, at: datetime = T0) -> None:
        await retire(self.database, at, credential_id=self.ids[tenant])

    async def works(self, tenant: str, at: datetime) -> None:
        await check(self.database, served({"jobs": "g"}), at, credential_id=self.ids[tenant])

    async def gets_v3(self, tenant: str, **facts: Any) -> None:
        row = Credential(tenant_id=tenant, label="Gem v3", kind=CredentialKind.HARVEST_OAUTH, reference="env:V3")
        async with self.database.writing() as conn:
            await conn.execute(insert(CREDENTIAL).values(row.model_dump(exclude={"id"}) | facts))

    def composer(
        self, mode: NoticesMode = NoticesMode.CSM, manifests: Callable[[str | None], Manifest] | None = None
    ) -> Composer:
        return Composer(self.database, a_policy(mode), self.renderer, manifests=manifests or (lambda _: load("gem")))

    async def composes(self, now: datetime, mode: NoticesMode = NoticesMode.CSM) -> list[Notice]:
        """The notices of retired keys that this run wrote."""
        before = await self.notices()
        await self.composer(mode).run_once(now)
        return (await self.notices())[len(before) :]

    async def notices(self) -> list[Notice]:
        statement = select(NOTICE.c.recipient, NOTICE.c.subject).where(NOTICE.c.why.startswith(WHY))
        async with self.database.reading() as conn:
            return [(reader, subject) for reader, subject in await conn.execute(statement.order_by(NOTICE.c.id))]

    async def named(self) -> list[list[str]]:
        """The customers of each email: no subject names several."""
        statement = select(NOTICE.c.text).where(NOTICE.c.why.startswith(WHY)).order_by(NOTICE.c.id)
        async with self.database.reading() as conn:
            return [re.findall(r"^  - (.*)", text, re.MULTILINE) for text in (await conn.execute(statement)).scalars()]


@pytest.fixture
def vendor(database: Database) -> Vendor:
    return Vendor(database)


async def test_a_sweep_of_retirements_is_one_email_for_each_csm(vendor: Vendor) -> None:
    """Keys retire one after the other over four hours: no email meanwhile, and then one to each CSM."""
    csm_of = {f"t{n}": (DANA, LEE)[n % 2] for n in range(8)}
    await vendor.has(**csm_of)
    retired_at = {tenant: T0 + n * 34 * MINUTE for n, tenant in enumerate(csm_of)}
    written: dict[datetime, list[Notice]] = {}
    for half_hours in range(24):
        now = T0 + half_hours * 30 * MINUTE
        for tenant in [tenant for tenant, at in retired_at.items() if now - 30 * MINUTE < at <= now]:
            await vendor.retires(tenant, retired_at[tenant])
        if found := await vendor.composes(now + 2 * MINUTE):
            written[now] = found
    assert [notice for found in written.values() for notice in found] == [
        (
            DANA,
            "4 customers: our integration has lost access to Greenhouse (API credentials ended)",
        ),
        (
            LEE,
            "4 customers: our integration has lost access to Greenhouse (API credentials ended)",
        ),
    ]
    assert await vendor.named() == [["T0", "T2", "T4", "T6"], ["T1", "T3", "T5", "T7"]]


async def test_customers_that_do_not_fit_into_one_email_are_several(vendor: Vendor) -> None:
    """All at once, each numbered; and the next run knows that they were written."""

    class SmallEmails(Renderer):
        def fits(self, message: Message) -> bool:
            assert isinstance(message, RetiredMessage)
            return len(message.keys) <= 3

    vendor.renderer = SmallEmails()
    await vendor.has(**{f"t{n}": DANA for n in range(8)})
    for number in range(8):
        await vendor.retires(f"t{number}")
    written = await vendor.composes(GATHERED)
    assert [subject.partition(")")[0] for _, subject in written] == [f"({number} of 3" for number in (1, 2, 3)]
    assert await vendor.named() == [["T0", "T1", "T2"], ["T3", "T4", "T5"], ["T6", "T7"]]
    assert await vendor.composes(GATHERED + HOUR) == []


async def test_the_operator_is_notified_as_usual(vendor: Vendor) -> None:
    """The digest comes within the settle time; no CSM reads that permissions are missing."""
    await vendor.has(acme=DANA)
    await vendor.works("acme", T0 - HOUR)
    await vendor.retires("acme")
    await vendor.composer().run_once(T0 + HOUR)
    async with vendor.database.reading() as conn:
        (notice,) = (await conn.execute(select(NOTICE))).mappings()
    assert (notice["audience"], notice["subject"]) == ("operator", "Action: Acme: credential retired")


async def test_the_email_says_what_to_tick(vendor: Vendor) -> None:
    """Features and declined permissions of each tenant come from its row."""
    await vendor.has(acme=DANA)
    await vendor.retires("acme")
    async with vendor.database.writing() as conn:
        declined = [{"permission": name} for name in ("GET: List Users", "GET: Retrieve User")]
        await conn.execute(update(TENANT).values(features=["eeoc"], declined=declined))
        await accept(conn, load("gem"), "olga", "compared with our own list", T0)
    await vendor.composes(GATHERED)
    async with vendor.database.reading() as conn:
        (notice,) = (await conn.execute(select(NOTICE).where(NOTICE.c.why.startswith(WHY)))).mappings()
    assert "[ ] List eeoc" in notice["text"]
    assert "[ ] List users" not in notice["text"]
    assert (notice["audience"], notice["status"], notice["tenant_id"]) == (Audience.CSM, "pending", None)


async def test_a_database_with_such_a_notice_is_sound(vendor: Vendor) -> None:
    """It is for a CSM and of no single tenant, and `db check` does not report it as damage."""
    await vendor.has(acme=DANA)
    await vendor.retires("acme")
    assert len(await vendor.composes(GATHERED)) == 1
    async with vendor.database.reading() as conn:
        assert await of_records(conn, GATHERED + MINUTE, HOUR) == []


async def test_a_month_later_there_is_another(vendor: Vendor) -> None:
    """As long as any key is retired; one that became retired meanwhile is named then, and not before."""
    await vendor.has(acme=DANA, globex=DANA)
    await vendor.retires("acme")
    assert len(await vendor.composes(GATHERED)) == 1
    await vendor.retires("globex", GATHERED + DAY)
    for days in (1, 2, 10, 29):
        assert await vendor.composes(GATHERED + days * DAY + HOUR) == []
    assert await vendor.composes(GATHERED + 30 * DAY) == [
        (
            DANA,
            "2 customers: our integration still has no access to Greenhouse (API credentials ended)",
        )
    ]
    await vendor.works("acme", GATHERED + 31 * DAY)
    assert await vendor.composes(GATHERED + 59 * DAY) == []
    assert await vendor.composes(GATHERED + 60 * DAY) == [
        (DANA, "Globex: our integration still has no access to Greenhouse (API credential ended)")
    ]
    await vendor.works("globex", GATHERED + 61 * DAY)
    assert await vendor.composes(GATHERED + 95 * DAY) == []


async def test_what_recovers_while_it_is_gathered_is_never_reported(vendor: Vendor) -> None:
    """An outage that looks like a retirement and ends within an interval and a half sends no CSM an email."""
    await vendor.has(acme=DANA, globex=LEE)
    for tenant in ("acme", "globex"):
        await vendor.retires(tenant)
        assert await vendor.composes(T0 + 3 * HOUR) == []
        await vendor.works(tenant, T0 + 5 * HOUR)
    assert await vendor.composes(GATHERED) == []
    assert await vendor.composes(GATHERED + 40 * DAY) == []


async def test_a_removed_tenant_is_not_reported(vendor: Vendor) -> None:
    """Nor is a tenant whose credential is no longer in the file."""
    await vendor.has(acme=DANA)
    await vendor.retires("acme")
    async with vendor.database.writing() as conn:
        await conn.execute(update(TENANT).values(removed_at=T0))
    assert await vendor.composes(GATHERED) == []


@pytest.mark.parametrize(
    ("facts", "stage", "emails"),
    [
        ({"baseline_at": T0}, MigrationStage.DONE, 0),
        ({}, MigrationStage.BEGUN, 1),  # never checked
        ({"baseline_at": T0, "state": "invalid"}, MigrationStage.BEGUN, 1),
        ({"baseline_at": T0, "removed_at": T0}, MigrationStage.NOT_BEGUN, 1),
    ],
)
async def test_a_tenant_with_a_working_v3_credential_has_moved(
    vendor: Vendor, facts: dict[str, Any], stage: MigrationStage, emails: int
) -> None:
    """A v3 credential counts once it was seen to work: then the CSM need not do anything about the old key."""
    await vendor.has(acme=DANA)
    await vendor.retires("acme")
    await vendor.gets_v3("acme", **facts)
    assert len(await vendor.composes(GATHERED)) == emails
    async with vendor.database.reading() as conn:
        (key,) = await v1_keys(conn)
    assert (key.tenant_id, key.state, key.stage) == ("acme", CredentialState.RETIRED, stage)


async def test_modes_change_who_is_notified(vendor: Vendor) -> None:
    """Off writes nothing; the operator gets an email for each CSM; a CSM without an email so far gets one."""
    await vendor.has(acme=DANA, globex=LEE, initech=None)
    for tenant in ("acme", "globex", "initech"):
        await vendor.retires(tenant)
    assert await vendor.composes(GATHERED, NoticesMode.OFF) == []
    operators = await vendor.composes(GATHERED, NoticesMode.OPERATOR)
    assert [reader for reader, _ in operators] == [OPERATOR] * 3
    assert await vendor.composes(GATHERED + DAY, NoticesMode.OPERATOR) == []
    csms = await vendor.composes(GATHERED + 2 * DAY)
    assert csms == [
        (DANA, "Acme: our integration has lost access to Greenhouse (API credential ended)"),
        (LEE, "Globex: our integration has lost access to Greenhouse (API credential ended)"),
    ]


async def test_tenants_without_a_csm_are_in_one_email_to_the_operator(vendor: Vendor) -> None:
    """Upper and lower case of an address are one CSM; customers without a CSM are the operator's."""
    await vendor.has(acme="Dana@vendor.example", globex=DANA, initech=None, hooli=None)
    for tenant in vendor.ids:
        await vendor.retires(tenant)
    assert sorted(subject for _, subject in await vendor.composes(GATHERED)) == [
        "2 customers: our integration has lost access to Greenhouse (API credentials ended)",
        "2 customers: our integration has lost access to Greenhouse (API credentials ended)",
    ]
    assert {reader.lower() for reader, _ in await vendor.notices()} == {DANA, OPERATOR}


async def test_two_composers_at_once_write_one_notice(vendor: Vendor, workers: list[Database]) -> None:
    """Each in its own process, all at the same moment."""
    await vendor.has(acme=DANA, globex=LEE)
    for tenant in ("acme", "globex"):
        await vendor.retires(tenant)
    composers = [Vendor(worker).composer() for worker in workers]
    await asyncio.gather(*(composer.run_once(GATHERED) for composer in composers))
    assert sorted(reader for reader, _ in await vendor.notices()) == [DANA, LEE]


async def test_an_accepted_list_is_sent_at_once(vendor: Vendor) -> None:
    """The first email has nothing to forward of a derived list; after its acceptance one with it follows."""
    await vendor.has(acme=DANA)
    await vendor.retires("acme")
    assert len(await vendor.composes(GATHERED)) == 1
    async with vendor.database.writing() as conn:
        assert await accept(conn, load("gem"), "olga", "compared with our own list", GATHERED + HOUR)
    (again,) = await vendor.composes(GATHERED + 2 * HOUR)
    assert again == (DANA, "Acme: our integration still has no access to Greenhouse (API credential ended)")
    assert await vendor.composes(GATHERED + 3 * HOUR) == []
    async with vendor.database.reading() as conn:
        first, second = (await conn.execute(select(NOTICE.c.text).where(NOTICE.c.why.startswith(WHY)))).scalars()
    assert "There is nothing to send to customers yet" in first
    assert "Tick these 37 boxes" in second


async def test_a_composer_that_was_overtaken_writes_nothing(vendor: Vendor) -> None:
    """Between its reading and its writing another one wrote, even about other keys: the notice is not repeated."""
    await vendor.has(acme=DANA, globex=DANA)
    for tenant in ("acme", "globex"):
        await vendor.retires(tenant)

    async def meanwhile() -> None:
        await vendor.works("acme", GATHERED)
        await vendor.composer().run_once(GATHERED + MINUTE)

    await vendor.composer(manifests=_interrupted_by(meanwhile)).run_once(GATHERED)
    assert await vendor.notices() == [
        (DANA, "Globex: our integration has lost access to Greenhouse (API credential ended)")
    ]


def _interrupted_by(meanwhile: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[str | None], Manifest]:
    """Manifests for a composer in whose thread something else happens, once."""
    loop, waiting = asyncio.get_running_loop(), [meanwhile]

    def manifests(_: str | None) -> Manifest:
        while waiting:
            asyncio.run_coroutine_threadsafe(waiting.pop()(), loop).result()
        return load("gem")

    return manifests
