"""When a tenant changes, some others are checked ahead of time: spread, politely, and remembered."""

import asyncio

import pytest
from sqlalchemy import select, update

from checks.answer import Answer, AnswerKind
from checks.credential import CredentialState
from monitor.breaker.circuit_breaker import CircuitBreaker
from monitor.breaker.machine import Limits, State
from monitor.breaker.recent_tenants import MANY
from monitor.checking.sampler import SampleLimits, Sampler, spread
from monitor.checking.sampler_queries import Candidate
from monitor.config.settings import Settings
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.metrics import Metrics
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, NOTICE, SAMPLE
from tests.composer import ComposerHarness
from tests.notices import NOW, SETTLE
from tests.reports import HOUR, MINUTE, T0, failed, served
from tests.store import a_tenant, check, rows, sync
from tests.unit.test_metrics import value

LOST = EventKind.LOST
LIMITS = SampleLimits(size=20, per_hour=50, spacing=SETTLE, lease=7 * MINUTE, keep=4 * HOUR)
LATER = NOW + SETTLE


class Sampled(ComposerHarness):
    """A hundred tenants checked an hour ago and due in two, and a sampler for them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.metrics = Metrics("test")
        self.breaker = CircuitBreaker(Limits.of(60))

    async def prepare(self) -> None:
        for number in range(100):
            await self.add_tenant(f"t{number:02}", last_checked_at=NOW - HOUR)
        await self.plan(next_due=NOW + 2 * HOUR)

    async def plan(self, **columns: object) -> None:
        async with self.database.writing() as conn:
            await conn.execute(update(CREDENTIAL).values(columns))

    async def sample(self, minutes: int = 0, limits: SampleLimits = LIMITS) -> int:
        sampler = Sampler(self.database, self.breaker, self.metrics, limits)
        return await sampler.run_once(NOW + minutes * MINUTE)

    async def due(self) -> list[str]:
        async with self.database.reading() as conn:
            due = select(CREDENTIAL.c.tenant_id).where(CREDENTIAL.c.next_due <= NOW + HOUR)
            return sorted((await conn.execute(due)).scalars())

    async def lost(self, tenant: str, permission: str = "GET: List offers", minutes: int = 0) -> None:
        await self.add_event(LOST, permission, tenant, at=NOW + minutes * MINUTE)


@pytest.fixture
async def world(database: Database) -> Sampled:
    made = Sampled(database)
    await made.prepare()
    return made


async def test_the_first_loss_has_twenty_others_checked(world: Sampled) -> None:
    """They become due now, others do not; it is counted, and remembered with its reason."""
    assert await world.sample() == 0
    await world.lost("t00")
    assert await world.sample() == 20
    (sample,) = await rows(world.database, SAMPLE)
    assert sample["brake_keys"] == ["lost:GET: List offers"]
    assert await world.due() == sample["tenants"]
    assert len(sample["tenants"]) == 20
    assert value(world.metrics, "sampled_checks_total") == 20


async def test_a_suspicion_brings_nothing_forward(database: Database) -> None:
    """Only the second check, which confirms it: seen once, a loss may be a mistake."""
    await sync(database, *(a_tenant(f"t{number:02}") for number in range(40)))
    for credential in range(1, 41):
        await check(database, served({"jobs": "g"}), T0, credential_id=credential)
    sampler = Sampler(database, CircuitBreaker(Limits.of(60)), Metrics("test"), LIMITS)
    planned = []
    for minutes in (10, 11):
        now = T0 + minutes * MINUTE
        await check(database, served({"jobs": "m"}), now, credential_id=1)
        planned.append(await sampler.run_once(now))
    assert planned == [0, 20]


async def test_a_credential_that_fails_has_others_checked_too(database: Database) -> None:
    """One of its kind whose key is refused: the first confirmed one, and never the one that fails itself."""
    await sync(database, *(a_tenant(f"t{number:02}") for number in range(40)))
    for credential in range(1, 41):
        await check(database, served({"jobs": "g"}), T0, credential_id=credential)
    for minutes in (10, 11):
        await check(database, failed(CredentialState.INVALID), T0 + minutes * MINUTE, credential_id=1)
    sampler = Sampler(database, CircuitBreaker(Limits.of(60)), Metrics("test"), LIMITS)
    assert await sampler.run_once(T0 + 11 * MINUTE) == 20
    (sample,) = await rows(database, SAMPLE)
    assert sample["brake_keys"] == ["credential_failed:invalid"]
    assert "t00" not in sample["tenants"]


async def test_each_kind_has_a_sample_of_its_own_within_the_settle_time(world: Sampled) -> None:
    """Another permission, a minute later, is another kind; the same one is not."""
    await world.lost("t00", "GET: List offers")
    assert await world.sample() == 20
    await world.lost("t01", "GET: List jobs", minutes=1)
    await world.lost("t02", "GET: List offers", minutes=1)
    assert await world.sample(1) == 20
    assert [sample["brake_keys"] for sample in await rows(world.database, SAMPLE)] == [
        ["lost:GET: List offers"],
        ["lost:GET: List jobs"],
    ]


async def test_two_processes_bring_forward_one_sample(world: Sampled, workers: list[Database]) -> None:
    """Each with a sampler of its own, at the same moment."""
    await world.lost("t00")
    samplers = [Sampler(worker, CircuitBreaker(Limits.of(60)), Metrics("test"), LIMITS) for worker in workers]
    assert sum(await asyncio.gather(*(sampler.run_once(NOW) for sampler in samplers))) == 20
    assert len(await rows(world.database, SAMPLE)) == 1


async def test_once_for_a_key_and_settle_time(world: Sampled) -> None:
    """Another tenant that loses the same brings nothing forward until the settle time is over."""
    await world.lost("t00")
    await world.sample()
    await world.lost("t01", minutes=5)
    assert await world.sample(5) == 0
    await world.lost("t02", minutes=16)
    assert await world.sample(16) > 0


async def test_many_losses_of_one_tenant_share_a_sample(world: Sampled) -> None:
    """A check asks for everything: forty permissions need no forty samples."""
    for number in range(40):
        await world.lost("t00", f"GET: {number}")
    assert await world.sample() == 20
    assert len((await rows(world.database, SAMPLE))[0]["brake_keys"]) == 40


async def test_no_more_than_so_many_in_an_hour(world: Sampled) -> None:
    """20, 20, and the last 10 of 50; later more."""
    planned = []
    for number, minutes in enumerate((0, 1, 2, 3, 62)):
        await world.lost("t00", f"GET: {number}", minutes)
        planned.append(await world.sample(minutes))
    assert planned == [20, 20, 10, 0, 20]


async def test_nobody_is_asked_twice_or_without_use(world: Sampled) -> None:
    """Whoever was checked since, is about to be, is in doubt, fails, or has another kind of credential, is left out."""
    await world.lost("t00")
    for columns in (
        {"last_checked_at": NOW + MINUTE},
        {"next_due": NOW + 5 * MINUTE},
        {"next_due": None},
        {"suspects": 1},
        {"suspect_state": "invalid"},
        {"state": "blocked"},
    ):
        before = {name: (await rows(world.database, CREDENTIAL))[0][name] for name in columns}
        await world.plan(**columns)
        assert await world.sample() == 0, columns
        await world.plan(**before)
    async with world.database.writing() as conn:
        await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.tenant_id != "t00").values(kind="harvest-oauth"))
    assert await world.sample() == 1  # the tenant itself, whose next check shows nothing new


@pytest.mark.parametrize("kind", [EventKind.REGAINED, EventKind.RECOVERED])
async def test_good_news_needs_no_sample(world: Sampled, kind: EventKind) -> None:
    """Only what may be the beginning of a wave of bad news."""
    await world.add_event(kind, "GET: List offers" if kind is EventKind.REGAINED else None, "t00", at=NOW)
    await world.add_event(EventKind.FOUND, "GET: List offers", "t01", audience=Audience.OPERATOR, at=NOW)
    assert await world.sample() == 0


async def test_never_while_the_breaker_is_not_closed(world: Sampled) -> None:
    """Greenhouse in trouble gets no more requests because of it."""
    await world.lost("t00")
    for number in range(2 * MANY):
        with world.breaker.track(str(number)) as check:
            for _ in range(3):
                world.breaker.record(check, Answer(AnswerKind.TIMEOUT))
    assert world.breaker.state is not State.CLOSED
    assert await world.sample() == 0


async def test_a_size_of_zero_switches_it_off(world: Sampled) -> None:
    """HARVEST_MONITOR_SAMPLE=0."""
    await world.lost("t00")
    assert await world.sample(limits=SampleLimits(0, 50, SETTLE, MINUTE, HOUR)) == 0


def test_the_settings_say_how_many() -> None:
    """Without notices there is nothing to hold back; a settle time of nothing does not sample at every second."""
    mail = {"notices": "csm", "smtp_url": "mailbox:/mail", "mail_from": "a@b.example", "operator_mail": "a@b.example"}
    limits = SampleLimits.of(Settings(**mail, settle=0, sample=7, sample_per_hour=9))
    assert (limits.size, limits.per_hour, limits.spacing, limits.keep) == (7, 9, MINUTE, 4 * HOUR)
    assert SampleLimits.of(Settings(**{**mail, "notices": "off"})).size == 0


async def test_old_samples_go(world: Sampled) -> None:
    """They are used for one interval."""
    for minutes in (0, 5 * 60):
        await world.lost("t00", minutes=minutes)
        await world.plan(next_due=NOW + 20 * HOUR)
        await world.sample(minutes)
    assert len(await rows(world.database, SAMPLE)) == 1


async def test_the_email_of_the_first_waits_for_the_sample(world: Sampled) -> None:
    """Until every check of it is in and in no doubt, and for another settle time at most."""
    await world.lost("t00")
    await world.sample()
    assert await world.run(LATER) == 0
    await world.plan(last_checked_at=NOW + MINUTE)
    async with world.database.writing() as conn:
        sampled = (await world.due())[0]
        await conn.execute(update(CREDENTIAL).where(CREDENTIAL.c.tenant_id == sampled).values(suspects=1))
    assert await world.run(LATER) == 0
    await world.plan(suspects=0)
    assert await world.run(LATER) == 1


async def test_the_email_does_not_wait_for_ever(world: Sampled) -> None:
    """A sample that cannot be checked, because Greenhouse is down, delays the email by one settle time."""
    await world.lost("t00")
    await world.sample()
    assert await world.run(LATER + SETTLE - MINUTE) == 0
    assert await world.run(LATER + SETTLE) == 1


async def test_the_operators_notice_tells_of_the_sample(world: Sampled) -> None:
    """How many others were checked, and how many of them had changed alike."""
    await world.lost("t00")
    await world.sample()
    asked = await world.due()
    for tenant in asked[:11]:
        await world.lost(tenant, minutes=2)
    await world.plan(last_checked_at=NOW + 3 * MINUTE)
    await world.run(LATER + 2 * MINUTE)
    assert len(await world.notices(Status.HELD)) == 12
    text = (await rows(world.database, NOTICE))[-1]["text"]
    assert "20 other tenants checked ahead of time: 11 changed in the same way" in text
    assert "12 % of the 100 tenants checked since 23 Nov 2026, 14:05 UTC" in text


def test_the_choice_is_spread_by_hash() -> None:
    """One credential of each tenant; another seed chooses others, the same seed the same."""
    candidates = [Candidate(number, f"t{number // 2}") for number in range(400)]
    chosen = spread(candidates, 20, "a")
    assert len({candidate.tenant_id for candidate in chosen}) == 20
    assert chosen == spread(candidates, 20, "a")
    assert chosen != spread(candidates, 20, "b")
