"""The database that pages are looked at with: tenants of every status, a held burst, and whatever else may come.

It is the same each time, to the second: README's pictures are taken of it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import insert, select, update

from checks.credential import CredentialKind, CredentialState
from checks.manifest import Permission, load
from checks.report import CheckReport, Finding, Verdict, WriteAlarm
from monitor.checking import claim_queries, sweep_queries, write_halt_queries
from monitor.errors import FailureScope
from monitor.incidents.burst_grouper import BurstGrouper
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.write_alarm import write_alarm_notice
from monitor.store.database import Database
from monitor.store.tables import CHECK_DAY, CREDENTIAL, DRIFT_EVENT, NOTICE
from monitor.tenants.file import CredentialConfig, Declined, Paused, TenantConfig, TenantProblem
from tests.installation import NOTICES
from tests.outbox import FakeTransport, OutboxHarness
from tests.reports import HOUR, MINUTE, failed
from tests.store import a_tenant, check, sync

NOW = datetime(2026, 11, 23, 14, 25, tzinfo=UTC)
DAY = timedelta(days=1)
SHARED = "offers.list_offers"
DECLINED = "scorecards.list_scorecards"  # by Initech
WAVE = (
    "Aldgate Systems", "Amberfield", "Arcwright", "Bellhaven", "Birchline", "Bluecrest", "Brightwater", "Calder & Co",
    "Cedarworks", "Clearpath", "Copperleaf", "Corvane", "Dawnbridge", "Eastmoor", "Elmfield", "Fairholm", "Fernvale",
    "Foxglove", "Glenrock", "Goldcrest", "Greyfriars", "Harborview", "Hazelton", "Highmark", "Ironbridge", "Juniper",
    "Kestrel", "Kingsway", "Lakehurst", "Larkspur", "Lindenhall", "Maplewood", "Meridian", "Northgate", "Oakhurst",
    "Pinecrest", "Ravenswood", "Silverlake", "Stonefield", "Thornbury", "Westbrook",
)  # fmt: skip
WELL = (
    "Acme", "Ashford", "Beacon", "Castellan", "Daybreak", "Everly", "Falconer", "Hollis", "Inkwell", "Jasper", "Lowell",
    "Monarch", "Norwood", "Orchard", "Palisade", "Quarry", "Rosewater", "Summit", "Tidewater", "Vantor Health",
    "Wexford", "Yarrow",
)  # fmt: skip
CSMS = (("Dana Reyes", "dana"), ("Lee Chan", "lee"), ("Kim Novak", "kim"), ("Ade Okafor", "ade"))
HTML_NAME = """<b>Tyrell</b> & "Sons" <script>document.title = "owned"</script>"""
RTL_NAME = "شركة النور للتوظيف (Al-Noor)"
LONG_NAME = "Donaudampfschifffahrtsgesellschaft-Hinterbrühl International Holdings"
MAIL = {
    "notices": "csm",
    "smtp_url": "smtp://mail.vendor.example",
    "mail_from": "Harvest Monitor <monitor@vendor.example>",
    "operator_mail": "ops@vendor.example",
    "write_probes": "all",
    "operators": "dana@vendor.example,lee@vendor.example",
}
"""The settings that the pages are served with."""

_GEM = load("gem")


async def fill(db: Database) -> None:
    """The night that on-call is woken in."""
    world = World(db)
    await world.begin(_everybody())
    await world.past_of("initech")
    await world.rejected("quartzline", NOW - 3 * DAY)
    for ago in (32, 8):
        await world.sweep(NOW - ago * HOUR - 20 * MINUTE)
    await world.losses_that_nobody_could_be_told_of(NOW - 7 * HOUR)
    await world.answered_probes()
    await world.sweep(NOW - 4 * HOUR - 20 * MINUTE)
    await world.check_all(NOW - 80 * MINUTE, among=_ids(WELL))
    await world.wave(NOW - 65 * MINUTE)
    await world.one_suspect("donau", NOW - 5 * MINUTE)
    await world.many_events("ledger", 5_000)
    await world.end(_tenant("Newfound"))


async def fill_well(db: Database) -> None:
    """A good day: most tenants are well, and those who should know of the others were told."""
    world = World(db)
    await world.begin([*map(_tenant, (*WAVE, *WELL)), *_some_in_trouble()])
    await world.past_of("initech")
    for ago in (32, 8, 4):
        await world.sweep(NOW - ago * HOUR - 20 * MINUTE)
    await world.end()


def _ids(names: Iterable[str]) -> list[str]:
    return [name.split(" ")[0].lower() for name in names]


def _tenant(name: str, id_: str | None = None, **facts: object) -> TenantConfig:
    id_ = id_ or _ids([name])[0]
    csm, address = CSMS[sum(id_.encode()) % len(CSMS)]
    made = a_tenant(id_, name=name, reference=f"file:/run/secrets/{id_}", **facts)  # type: ignore[arg-type]
    return replace(made, csm_name=csm, csm_email=f"{address}@vendor.example")


def _some_in_trouble() -> list[TenantConfig]:
    declined = [Declined("GET: List Scorecards", "GEM-1204", date(2026, 10, 5), "Lee Chan")]
    return [
        _tenant("Initech Corp", "initech", declined=declined),
        _tenant("Redleaf"),
        _tenant("Umbrella", paused=Paused("GEM-1377: contract ended, renewal in January", date(2026, 11, 9), "Lee")),
    ]


def _everybody() -> list[TenantConfig]:
    v3 = CredentialConfig("Gem (v3)", CredentialKind.HARVEST_OAUTH, "file:/run/secrets/globex-v3", None)
    globex = _tenant("Globex Corporation", "globex")
    gone = replace(_tenant("Wonka", "wonka"), credentials=(), csm_name=None, csm_email=None)
    return [
        *map(_tenant, (*WAVE, *WELL, "Quartzline")),
        *_some_in_trouble(),
        replace(globex, credentials=(*globex.credentials, v3)),
        gone,
        _tenant("Ledgerdomain", "ledger"),
        _tenant(HTML_NAME, "tyrell"),
        _tenant(RTL_NAME, "alnoor"),
        _tenant(LONG_NAME, "donau"),
    ]


class World:
    """What happened, in order; each check is recorded as a worker records it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._tenants: Sequence[TenantConfig] = ()
        self._credentials: dict[str, list[int]] = {}
        self._answers: dict[int, Answers] = {}
        self._transport = FakeTransport()
        self._outbox = OutboxHarness(db, self._transport)
        self._composer = Composer(db, NOTICES, Renderer())

    async def begin(self, tenants: Sequence[TenantConfig]) -> None:
        await sync(self._db, _tenant("Oldfield"), now=NOW - 100 * DAY)
        await self._add(tenants, NOW - 95 * DAY)
        self._credentials.pop("umbrella")  # it is paused
        if "redleaf" in self._credentials:
            self._answers[self._credentials["redleaf"][0]] = Answers(unclear=_WITHOUT_FIELDS)

    async def past_of(self, tenant_id: str) -> None:
        """Ninety days of one tenant: two troubles that ended, and one that lasts."""
        (credential,) = self._credentials[tenant_id]
        self._answers[credential] = Answers(declined=(DECLINED,))
        await self._days(credential)
        for ago, missing in (
            (88 * DAY, ()),
            (61 * DAY, ("applications.move_application", "candidates.add_note")),
            (57 * DAY, ()),
            (24 * DAY, ("job_stages.list_job_stages",)),
            (21 * DAY, ()),
            (30 * HOUR, ("offers.retrieve_offer", "users.list_users")),
        ):
            await self._check(credential, NOW - ago - 4 * HOUR)
            await self._change(credential, NOW - ago, Answers(missing, declined=(DECLINED,)))
            await self._check(credential, NOW - ago + 18 * MINUTE)
            await self.emails(NOW - ago + 20 * MINUTE)
        for hour in range(24, 8, -4):
            await self._check(credential, NOW - hour * HOUR - 13 * MINUTE)

    async def sweep(self, at: datetime) -> None:
        await self._keep_sweeps(at)
        await self.check_all(at)
        await self._keep_sweeps(at + 30 * MINUTE)

    async def check_all(self, at: datetime, among: Sequence[str] = ()) -> None:
        for tenant_id in among or self._credentials:
            for credential in self._credentials[tenant_id]:
                await self._check(credential, at)

    async def rejected(self, tenant_id: str, at: datetime) -> None:
        (credential,) = self._credentials[tenant_id]
        await self._check(credential, at - 9 * DAY)
        await self._change(credential, at, Answers(state=CredentialState.INVALID))
        await self.emails(at + 40 * MINUTE)

    async def losses_that_nobody_could_be_told_of(self, at: datetime) -> None:
        await self._change(self._credentials["alnoor"][0], at, Answers(("jobs.list_jobs",)))
        await self._change(self._credentials["globex"][1], at + MINUTE, Answers(("tags.list_candidate_tags",)))
        self._transport.refuses("550 5.1.1 no such user here", FailureScope.ADDRESS, permanent=True)
        await self.emails(at + HOUR)
        self._transport.instead = None

    async def answered_probes(self) -> None:
        """Of two halts of write probes one was lifted."""
        await self._alarm("vantor", "Vantor Health", NOW - 9 * DAY, "PATCH /v1/applications/0", "412")
        async with self._db.writing() as conn:
            await write_halt_queries.lift(conn, "lee", "support: nothing was changed", NOW - 8 * DAY)
        await self._alarm("tyrell", HTML_NAME, NOW - 5 * HOUR, "POST /v1/candidates", "418822")

    async def wave(self, at: datetime) -> None:
        """Within ten minutes, forty-one tenants are seen to lack the same permission."""
        for number, tenant_id in enumerate(_ids(WAVE)):
            seen_at = at + timedelta(seconds=13 * number)
            await self._change(self._credentials[tenant_id][0], seen_at, Answers((SHARED,)))

    async def one_suspect(self, tenant_id: str, at: datetime) -> None:
        (credential,) = self._credentials[tenant_id]
        self._answers[credential] = Answers(("jobs.list_jobs", "users.list_users"))
        await self._check(credential, at)

    async def many_events(self, tenant_id: str, number: int) -> None:
        """Unticked and ticked again, for weeks."""
        (credential,) = self._credentials[tenant_id]
        permissions = _GEM.permissions[:50]
        begin, rows = NOW - 60 * DAY, []
        for index in range(number):
            permission, turn = permissions[index % 50], index // 50
            at = begin + turn * 6 * HOUR
            rows.append(
                {
                    "at": at,
                    "kind": "regained" if turn % 2 else "lost",
                    "tenant_id": tenant_id,
                    "credential_id": credential,
                    "permission_id": permission.id,
                    "permission_group": permission.group,
                    "permission_label": permission.label,
                    "detail": "",
                    "seen_before": at - 4 * HOUR,
                    "first_seen": at - MINUTE,
                }
            )
        async with self._db.writing() as conn:
            await conn.execute(insert(DRIFT_EVENT), rows)

    async def emails(self, at: datetime) -> None:
        """Composed and sent, as far as the mail server takes them."""
        await BurstGrouper(self._db, batches=1000, rest_seconds=0).run_once()
        await self._composer.run_once(at)
        await self._outbox.deliver(at)

    async def end(self, *newest: TenantConfig) -> None:
        await self._keep_sweeps(NOW)
        await self._check_due(NOW - 12 * MINUTE)
        await self.emails(NOW - 3 * MINUTE)
        await self._add([*self._tenants, *newest], NOW - 2 * MINUTE)
        async with self._db.writing() as conn:
            # Message-IDs are drawn at random, and pages that show one must be the same each time.
            for number in (await conn.execute(select(NOTICE.c.id))).scalars().all():
                named = update(NOTICE).where(NOTICE.c.id == number)
                await conn.execute(named.values(message_id=f"<{number}@monitor.vendor.example>"))

    async def _add(self, tenants: Sequence[TenantConfig], at: datetime) -> None:
        problem = TenantProblem("wonka", 812, "line 812: wonka has no credential: add `credential`")
        problems = [problem] if any(tenant.id == "wonka" for tenant in tenants) else []
        await sync(self._db, *tenants, problems=problems, now=at)
        async with self._db.reading() as conn:
            here = select(CREDENTIAL.c.tenant_id, CREDENTIAL.c.id).where(CREDENTIAL.c.removed_at.is_(None))
            found = (await conn.execute(here.order_by(CREDENTIAL.c.id))).all()
        self._tenants = tenants
        for tenant_id, credential in found:
            self._credentials.setdefault(tenant_id, []).append(credential)

    async def _keep_sweeps(self, at: datetime) -> None:
        async with self._db.writing() as conn:
            await sweep_queries.keep(conn, at, 4 * HOUR)

    async def _alarm(self, tenant_id: str, name: str, at: datetime, endpoint: str, record: str) -> None:
        alarm = WriteAlarm(endpoint, 200, at, "b7c1e0f2-9a44", record, "all")
        async with self._db.writing() as conn:
            await write_halt_queries.halt(conn, alarm, tenant_id, self._credentials[tenant_id][0])
            await write_alarm_notice(conn, NOTICES, Renderer(), alarm, tenant_id, name, "Gem Harvest API Key", at)
        await self.emails(at + MINUTE)

    async def _change(self, credential: int, at: datetime, answers: "Answers") -> None:
        """The first check suspects, the second confirms."""
        self._answers[credential] = answers
        for moment in (at, at + MINUTE):
            await self._check(credential, moment)

    async def _check_due(self, at: datetime) -> None:
        async with self._db.reading() as conn:
            found = await claim_queries.due(conn, at, 1000)
        for credential in sorted([*found.pressing, *found.ordinary]):
            await self._check(credential, at)

    async def _check(self, credential: int, at: datetime) -> None:
        report = self._answers.get(credential, Answers()).report(at)
        await check(self._db, report, at, credential_id=credential, fingerprint=f"{credential:016x}")

    async def _days(self, credential: int) -> None:
        """What is left of the checks of each day, once they are older than a month."""
        every = {
            "credential_id": credential, "drifted": 0, "undecided": 0, "failed": 0, "state": "ok", "requests": 420,
            "seconds": 210, "least_granted": 63, "most_missing": 0, "most_undecided": 0, "most_excess": 0,
        }  # fmt: skip
        rows = [
            every | {"day": (NOW - ago * DAY).date(), "checks": 3 if ago in (40, 41, 70) else 6} for ago in range(4, 90)
        ]
        async with self._db.writing() as conn:
            await conn.execute(insert(CHECK_DAY), rows)


_WITHOUT_FIELDS = (
    "candidates.add_candidate",
    "candidates.add_prospect",
    "candidates.merge_two_candidates",
    "tags.add_a_candidate_tag",
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What checks of a credential find, of a customer without the optional permissions."""

    missing: Collection[str] = ()
    unclear: Collection[str] = ()
    declined: Collection[str] = ()
    state: CredentialState = CredentialState.OK

    def report(self, at: datetime) -> CheckReport:
        if self.state is not CredentialState.OK:
            return failed(self.state, "revoked")
        findings = tuple(map(self._finding, (p for p in _GEM.permissions if p.feature is None)))
        return CheckReport(
            _GEM.name,
            _GEM.version,
            _GEM.digest,
            self.state,
            "",
            findings,
            refused=frozenset(f.endpoint for f in findings if f.endpoint and f.verdict is Verdict.MISSING),
            started_at=at,
            requests=70,
            duration_seconds=35.0,
        )

    def _finding(self, permission: Permission) -> Finding:
        verdict, rule, reason = self._verdict(permission)
        return Finding(
            permission.id,
            permission.group,
            permission.label,
            verdict,
            rule,
            reason,
            permission.endpoint,
            permission.mapping,
            declined=permission.id in self.declined,
        )

    def _verdict(self, permission: Permission) -> tuple[Verdict, str, str]:
        if permission.id in (*self.missing, *self.declined):
            return Verdict.MISSING, "V18", "refused"
        if permission.id in self.unclear:
            return Verdict.UNDECIDED, "V22", "no_refusal"
        if permission.endpoint is None:
            return Verdict.NOT_CHECKABLE, "V1", "no_endpoint"
        return Verdict.GRANTED, "V20", "past_permission_check"
