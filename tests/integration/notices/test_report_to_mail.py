"""From checks to emails: what real checks recorded reaches the right reader in the right words."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport, Excess
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.notices.delivery.transport import FolderTransport
from monitor.notices.notice import Status
from monitor.notices.operator_actions import drop, listing
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL
from tests.notices import a_policy
from tests.outbox import OutboxHarness
from tests.reports import HOUR, KEY, LOOKS_RETIRED, MINUTE, OTHER_KEY, RETIRED_SOON, T0, failed, served
from tests.store import a_tenant, check, rows, sync

INVALID, BLOCKED = failed(CredentialState.INVALID), failed(CredentialState.BLOCKED)


class Service:
    """Checks one after the other, and after each a composer and an outbox that had enough time."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.composer = Composer(database, a_policy(), Renderer())
        self.harness = OutboxHarness(database, FolderTransport(folder))
        self.now: datetime = T0
        self.read: set[str] = set()

    async def sees(self, *reports: CheckReport, fingerprint: str = KEY, credential_id: int = 1) -> list[EmailMessage]:
        """The emails that these checks cause, a minute apart."""
        for report in reports:
            self.now += MINUTE
            await check(self.database, report, self.now, credential_id=credential_id, fingerprint=fingerprint)
        return await self.an_hour_later()

    async def an_hour_later(self) -> list[EmailMessage]:
        self.now += HOUR
        await self.composer.run_once(self.now)
        await self.harness.deliver(self.now)
        return self._new_mails()

    def _new_mails(self) -> list[EmailMessage]:
        paths = [path for path in sorted(self.folder.glob("*.eml")) if path.name not in self.read]
        self.read |= {path.name for path in paths}
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]  # type: ignore[misc]


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> Service:
    await sync(database, a_tenant("acme", name="Acme Corp"))
    return Service(database, tmp_path / "mail")


def _subjects(emails: list[EmailMessage]) -> list[tuple[str, str]]:
    return [(mail["To"].addresses[0].username, str(mail["Subject"])) for mail in emails]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


async def test_a_loss_and_its_end(service: Service) -> None:
    """Nothing while a loss is only suspected; the CSM reads of a confirmed loss with its window, and of its end."""
    assert await service.sees(served({"jobs": "g", "offers": "g"})) == []
    assert await service.sees(served({"jobs": "m", "offers": "g"})) == []
    last_granted = service.now - 2 * HOUR - MINUTE
    (mail,) = await service.sees(served({"jobs": "m"}, partial=True))
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission missing (jobs)")]
    assert f"still works, but lost this permission between {last_granted:%H:%M} and " in _text(mail)
    (mail,) = await service.sees(served({"jobs": "g", "offers": "g"}))
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission restored (jobs)")]
    assert await service.sees(served({"jobs": "g", "offers": "g"})) == []


async def test_what_comes_back_in_parts(service: Service) -> None:
    """An email about what is back names what is still missing from an earlier one."""
    await service.sees(served({"jobs": "g", "offers": "g"}))
    lost = served({"jobs": "m", "offers": "m"})
    (mail,) = await service.sees(lost, lost)
    assert _subjects([mail]) == [("dana", "Acme Corp: 2 Greenhouse permissions missing (jobs, offers)")]
    (mail,) = await service.sees(served({"jobs": "g", "offers": "m"}))
    assert "Still missing, as we wrote to you before:\n\nJobs\n  - GET: offers\n" in _text(mail)


async def test_what_was_never_granted_is_the_operators(service: Service) -> None:
    """Missing at the first check, newly required, or in excess: the operator is notified, and of the end, too."""
    first = served({"jobs": "m"}, excess=[Excess("GET: List tags", "GET /v1/tags/candidate", True)])
    (mail,) = await service.sees(first, first)
    assert _subjects([mail]) == [
        (
            "ops",
            "Action: Acme Corp: 1 permission missing since the first check",
        )
    ]
    more = served({"jobs": "m", "users": "m"}, digest="e" * 16)
    (mail,) = await service.sees(more, more)
    assert _subjects([mail]) == [("ops", "Action: Acme Corp: 1 permission newly required and not granted")]
    (mail,) = await service.sees(served({"jobs": "g", "users": "g"}, digest="e" * 16))
    assert _subjects([mail]) == [("ops", "No action: Acme Corp: 2 permissions no longer missing")]


async def test_a_key_that_is_revoked_and_works_again(service: Service) -> None:
    """The CSM is notified of a refused key and of its end; the operator of any other failure and of its end."""
    await service.sees(served({"jobs": "g"}))
    (mail,) = await service.sees(INVALID, INVALID)
    assert _subjects([mail]) == [("dana", "Acme Corp: our integration has lost access to Greenhouse")]
    (mail,) = await service.sees(served({"jobs": "g"}))
    assert _subjects([mail]) == [("dana", "Acme Corp: our integration has access to Greenhouse again")]
    (mail,) = await service.sees(BLOCKED, BLOCKED)
    assert _subjects([mail]) == [("ops", "Action: Acme Corp: credential blocked")]
    (mail,) = await service.sees(served({"jobs": "g"}))
    assert _subjects([mail]) == [("ops", "No action: Acme Corp: credential works again")]


async def test_a_secret_that_never_worked_is_the_operators(service: Service) -> None:
    """No email says "no longer" of what never was: the operator stored it, and is notified of its end, too."""
    (mail,) = await service.sees(INVALID, INVALID)
    assert _subjects([mail]) == [("ops", "Action: Acme Corp: credential invalid, and never worked")]
    text = _text(mail)
    assert "has never worked here (invalid; first seen at " in text
    assert "no longer" not in text
    assert "revoked" not in text
    (mail,) = await service.sees(served({"jobs": "g"}), fingerprint=OTHER_KEY)
    assert _subjects([mail]) == [("ops", "No action: Acme Corp: credential works again")]


async def test_a_wrong_secret_in_place_of_one_that_worked_is_the_operators(service: Service) -> None:
    """Somebody stored it; the customer revoked nothing."""
    await service.sees(served({"jobs": "g"}))
    (mail,) = await service.sees(INVALID, INVALID, fingerprint=OTHER_KEY)
    assert _subjects([mail]) == [("ops", "Action: Acme Corp: credential invalid, and never worked")]


async def test_a_half_written_secret_hides_no_loss(service: Service) -> None:
    """Read once while it was being written, it replaced nothing; what was lost meanwhile is told to the CSM."""
    await service.sees(served({"jobs": "g"}))
    assert await service.sees(INVALID, fingerprint="half written") == []
    lost = served({"jobs": "m"})
    (mail,) = await service.sees(lost, lost)
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission missing (jobs)")]


async def test_a_refused_key_that_fails_otherwise_meanwhile(service: Service) -> None:
    """Each reader is notified of the end of what they were notified of."""
    await service.sees(served({"jobs": "g"}))
    await service.sees(INVALID, INVALID)
    assert _subjects(await service.sees(BLOCKED, BLOCKED)) == [("ops", "Action: Acme Corp: credential blocked")]
    assert sorted(_subjects(await service.sees(served({"jobs": "g"})))) == [
        ("dana", "Acme Corp: our integration has access to Greenhouse again"),
        ("ops", "No action: Acme Corp: credential works again"),
    ]


async def test_a_new_key_that_lacks_the_same(service: Service) -> None:
    """What was reported as lost is not reported again under a new key, and its end is."""
    await service.sees(served({"jobs": "g"}))
    lost = served({"jobs": "m"})
    await service.sees(lost, lost)
    assert await service.sees(lost, lost, fingerprint=OTHER_KEY) == []
    (mail,) = await service.sees(served({"jobs": "g"}), fingerprint=OTHER_KEY)
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission restored (jobs)")]


async def test_a_burst_that_recovers_is_dropped(service: Service, database: Database) -> None:
    """Three tenants lose the same at once and get it back: the operator is notified of the brake, and no CSM."""
    await sync(database, *(a_tenant(name) for name in ("acme", "globex", "initech")))
    lost = served({"jobs": "m"})
    for credential in (1, 2, 3):
        await check(database, served({"jobs": "g"}), service.now, credential_id=credential)
    for credential in (1, 2, 3):
        for _ in range(2):
            service.now += MINUTE
            await check(database, lost, service.now, credential_id=credential)
    (mail,) = await service.an_hour_later()
    assert _subjects([mail]) == [
        ("ops", "Action: mail to CSMs is held: 3 tenants lost the permission “GET: jobs” (Jobs)")
    ]
    for credential in (1, 2, 3):
        await check(database, served({"jobs": "g"}), service.now, credential_id=credential)
    service.now += timedelta(hours=1)
    assert await service.an_hour_later() == []


def _asking(report: CheckReport, endpoint: str, scopes: tuple[str, ...] = ()) -> CheckReport:
    """The same report under a manifest whose permissions ask for this."""
    findings = tuple(replace(found, endpoint=endpoint, scopes=scopes) for found in report.findings)
    return replace(report, findings=findings)


BEFORE = _asking(served({"jobs": "g"}), "GET /v1/jobs", ("harvest:jobs:list",))
NEW_MEANINGS: dict[str, tuple[CredentialKind, CheckReport, bool]] = {
    "another endpoint": (CredentialKind.HARVEST_KEY, _asking(served({"jobs": "m"}), "GET /v1/offers"), True),
    "another scope": (
        CredentialKind.HARVEST_OAUTH,
        _asking(served({"jobs": "m"}), "GET /v1/jobs", ("harvest:offers:list",)),
        True,
    ),
    "one more scope": (
        CredentialKind.HARVEST_OAUTH,
        _asking(served({"jobs": "m"}), "GET /v1/jobs", ("harvest:jobs:list", "harvest:offers:list")),
        True,
    ),
    "a renamed id": (CredentialKind.HARVEST_KEY, _asking(served({"positions": "m"}), "GET /v1/jobs"), True),
    "a removed permission": (CredentialKind.HARVEST_KEY, served({"offers": "g"}), False),
}
"""The kind of credential, what its check finds under the new manifest, and whether anything is newly required."""


@pytest.mark.parametrize(("kind", "after", "newly_required"), NEW_MEANINGS.values(), ids=NEW_MEANINGS)
async def test_a_manifest_that_changes_meaning_takes_nothing_from_anybody(
    service: Service, database: Database, kind: CredentialKind, after: CheckReport, newly_required: bool
) -> None:
    """Of eight tenants that all lack what is asked for now, no CSM is notified: nobody took anything away."""
    tenants = [a_tenant(name) for name in ("acme", *(f"tenant{number}" for number in range(1, 8)))]
    credentials = tuple(replace(credential, kind=kind) for credential in tenants[0].credentials)
    await sync(database, *(replace(t, credentials=credentials, row_digest=f"{t.id} {kind}") for t in tenants))
    after = replace(after, manifest_digest="e" * 16)
    for report in (BEFORE, after, after):
        service.now += MINUTE
        for credential in await _credentials(database):
            await check(database, report, service.now, credential_id=credential)
    emails = await service.an_hour_later()
    assert {to for to, _ in _subjects(emails)} == ({"ops"} if newly_required else set())
    for mail in emails:
        assert "newly required" in _text(mail)
        assert not re.search(r"\blost\b|no longer|is held", _text(mail))


async def _credentials(database: Database) -> list[int]:
    return [row["id"] for row in await rows(database, CREDENTIAL) if row["removed_at"] is None]


async def test_all_keys_retired_is_one_email_to_the_operator_that_says_so(service: Service, database: Database) -> None:
    """Ten keys of ten, from their checks on: no brake, no outage, no permissions, and no CSM within the hour."""
    await sync(database, *(a_tenant(name) for name in ("acme", *(f"tenant{number}" for number in range(1, 10)))))
    for report in (served({"jobs": "g"}), LOOKS_RETIRED, LOOKS_RETIRED, LOOKS_RETIRED):
        service.now += MINUTE
        for credential in await _credentials(database):
            await check(database, report, service.now, credential_id=credential, policy=RETIRED_SOON)
    (mail,) = await service.an_hour_later()
    assert _subjects([mail]) == [("ops", "Action: all 10 keys of Harvest v1 are retired: move to v3")]
    text = " ".join(_text(mail).split())
    assert "All 10 keys of Harvest v1 are retired: move to v3." in text
    assert "10 tenants are newly locked out: Greenhouse no longer accepts their keys of Harvest v1." in text
    assert "harvest-monitor tenants migration" in text
    for untrue in ("held", "Greenhouse itself", "status.greenhouse.io", "lost", "firewall"):
        assert untrue not in text


async def test_the_csms_of_retired_keys_are_mailed_when_the_pages_say_so(service: Service, database: Database) -> None:
    """One and a half intervals and the settle time after the first: six hours and a quarter, one email to each."""
    await sync(database, *(a_tenant(name) for name in ("acme", "globex", "initech")))
    began = service.now + 2 * MINUTE
    for report in (served({"jobs": "g"}), LOOKS_RETIRED, LOOKS_RETIRED, LOOKS_RETIRED):
        service.now += MINUTE
        for credential in await _credentials(database):
            await check(database, report, service.now, credential_id=credential, policy=RETIRED_SOON)
    told: dict[str, list[timedelta]] = {}
    for quarters in range(1, 48):
        service.now = began + quarters * HOUR / 4
        await service.composer.run_once(service.now)
        await service.harness.deliver(service.now)
        for to, _ in _subjects(service._new_mails()):
            told.setdefault(to, []).append(service.now - began)
    assert [len(moments) for moments in told.values()] == [1, 1]
    assert told["ops"][0] <= HOUR / 2
    assert 6 * HOUR <= told["dana"][0] <= 6.75 * HOUR


async def _leaves_and_returns(service: Service, database: Database, away: timedelta) -> None:
    """Acme lost a permission, its row is gone before the email is written, and comes back."""
    for report in (served({"jobs": "g"}), served({"jobs": "m"}), served({"jobs": "m"})):
        service.now += MINUTE
        await check(database, report, service.now)
    await sync(database, a_tenant("globex"), now=service.now)
    assert await service.an_hour_later() == []
    service.now += away
    await service.composer.run_once(service.now)
    await sync(database, a_tenant("acme", name="Acme Corp"), a_tenant("globex"), now=service.now)
    await service.composer.run_once(service.now + MINUTE)
    assert service._new_mails() == []


async def test_a_row_that_comes_back_loses_no_notice(service: Service, database: Database) -> None:
    """The loss that was waiting when the row dropped out is reported after the return, once it was checked again."""
    await _leaves_and_returns(service, database, timedelta(days=2))
    (mail,) = await service.sees(served({"jobs": "m"}))
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission missing (jobs)")]


async def test_what_was_restored_while_the_row_was_gone_is_not_reported(service: Service, database: Database) -> None:
    """The check after the return finds it granted: there is nothing to say."""
    await _leaves_and_returns(service, database, timedelta(days=2))
    assert await service.sees(served({"jobs": "g"})) == []


async def test_a_former_customer_is_forgotten(service: Service, database: Database) -> None:
    """After as long as checks are kept, what was waiting is settled in silence."""
    await _leaves_and_returns(service, database, timedelta(days=31))
    assert await service.sees(served({"jobs": "m"})) == []


async def test_a_held_notice_waits_for_the_return_of_its_tenant(service: Service, database: Database) -> None:
    """It is not held any more while the tenant is gone, and judged again afterwards."""
    names = ("acme", "globex", "initech")
    await sync(database, *(a_tenant(name) for name in names))
    for report in (served({"jobs": "g"}), served({"jobs": "m"}), served({"jobs": "m"})):
        service.now += MINUTE
        for credential in (1, 2, 3):
            await check(database, report, service.now, credential_id=credential)
    assert [to for to, _ in _subjects(await service.an_hour_later())] == ["ops"]
    await sync(database, a_tenant("globex"), a_tenant("initech"), now=service.now)
    assert await service.an_hour_later() == []
    assert {notice.tenant_id for notice in await listing(database, [Status.HELD])} == {"globex", "initech"}
    service.now += 9 * HOUR
    await sync(database, *(a_tenant(name) for name in names), now=service.now)
    await drop(database, service.now, "ops", ids=None)
    (mail,) = await service.sees(served({"jobs": "m"}))
    assert _subjects([mail]) == [("dana", "Acme: Greenhouse permission missing (jobs)")]


# What is so no longer when its email would be written.

LOST = (served({"jobs": "g"}), served({"jobs": "m"}), served({"jobs": "m"}))
REFUSED = (served({"jobs": "g"}), INVALID, INVALID)


async def _minutes(service: Service, *reports: CheckReport, credentials: tuple[int, ...] = (1,)) -> None:
    """These checks, a minute apart, and no time for an email."""
    for report in reports:
        service.now += MINUTE
        for credential in credentials:
            await check(service.database, report, service.now, credential_id=credential)


@pytest.mark.parametrize("reports", [LOST, REFUSED], ids=["lost", "refused"])
async def test_nothing_is_told_of_a_credential_that_was_replaced_by_another(
    service: Service, reports: tuple[CheckReport, ...]
) -> None:
    """Under another label in the tenants file, before the email about the old one was written."""
    await _minutes(service, *reports)
    await sync(service.database, a_tenant("acme", "Gem, new", reference="env:NEW"), now=service.now)
    assert await service.an_hour_later() == []


@pytest.mark.parametrize(
    "after",
    [
        served({"jobs": "m"}, declined=["jobs"]),
        served({}, digest="e" * 16),
    ],
    ids=["declined", "no longer asked for"],
)
async def test_nothing_is_asked_that_is_not_wanted_any_more(service: Service, after: CheckReport) -> None:
    """The customer declined it, or the integration no longer needs it, before the email was written."""
    await _minutes(service, *LOST, after)
    assert await service.an_hour_later() == []


async def test_a_held_email_is_dropped_when_what_it_says_is_over(service: Service, database: Database) -> None:
    """Replaced, declined, no longer asked for: what is left is what still holds."""
    await sync(database, *(a_tenant(name) for name in ("acme", "globex", "hooli", "initech")))
    await _minutes(service, *LOST, credentials=(1, 2, 3, 4))
    assert [to for to, _ in _subjects(await service.an_hour_later())] == ["ops"]
    others = (a_tenant(name) for name in ("globex", "hooli", "initech"))
    await sync(database, a_tenant("acme", "Gem, new", reference="env:NEW"), *others, now=service.now)
    await _minutes(service, served({"jobs": "m"}, declined=["jobs"]), credentials=(2,))
    await _minutes(service, served({}, digest="e" * 16), credentials=(3,))
    await service.an_hour_later()
    assert {notice.tenant_id for notice in await listing(database, [Status.HELD])} == {"initech"}


async def test_a_held_email_keeps_what_still_holds_of_it(service: Service, database: Database) -> None:
    """Two permissions are lost by three tenants; one tenant declines one of them, and its email names the other."""
    await sync(database, *(a_tenant(name) for name in ("acme", "globex", "initech")))
    both = ("jobs", "offers")
    reports = (served(dict.fromkeys(both, "g")), *[served(dict.fromkeys(both, "m"))] * 2)
    await _minutes(service, *reports, credentials=(1, 2, 3))
    await service.an_hour_later()
    await _minutes(service, served(dict.fromkeys(both, "m"), declined=["offers"]))
    await service.an_hour_later()
    subjects = {notice.tenant_id: notice.subject for notice in await listing(database, [Status.HELD])}
    assert subjects == {
        "acme": "Acme: Greenhouse permission missing (jobs)",
        "globex": "Globex: 2 Greenhouse permissions missing (jobs, offers)",
        "initech": "Initech: 2 Greenhouse permissions missing (jobs, offers)",
    }


async def test_after_a_downtime_nothing_is_told_before_the_next_check(service: Service) -> None:
    """What was lost three days ago may be back: the first check tells."""
    await _minutes(service, *LOST)
    service.now += timedelta(days=3)
    assert await service.an_hour_later() == []
    assert await service.sees(served({"jobs": "g"})) == []


async def test_after_a_downtime_what_still_holds_is_told(service: Service) -> None:
    """The check after it finds the loss as it was."""
    await _minutes(service, *LOST)
    service.now += timedelta(days=3)
    assert await service.an_hour_later() == []
    (mail,) = await service.sees(served({"jobs": "m"}))
    assert _subjects([mail]) == [("dana", "Acme Corp: Greenhouse permission missing (jobs)")]


async def test_what_was_confirmed_is_looked_at_once_more_before_it_is_told(service: Service) -> None:
    """Repaired within the settle time: no email. A check that does not come delays it by one settle time at most."""
    for reports in (LOST, REFUSED):
        await _minutes(service, *reports)
        service.now += 16 * MINUTE
        assert await service.composer.run_once(service.now) == 0  # nobody has looked since
        await _minutes(service, served({"jobs": "g"}))
        assert await service.an_hour_later() == []
    await _minutes(service, *LOST)
    service.now += 31 * MINUTE
    assert await service.composer.run_once(service.now) == 1


async def test_a_held_email_follows_its_tenant_to_another_csm(service: Service, database: Database) -> None:
    """The CSM of the day on which it is released gets it, in an email that greets them."""
    names = ("acme", "globex", "initech")
    await sync(database, *(a_tenant(name) for name in names))
    await _minutes(service, *LOST, credentials=(1, 2, 3))
    await service.an_hour_later()
    moved = replace(a_tenant("acme"), csm_name="Lee Chan", csm_email="lee@vendor.example", row_digest="moved")
    await sync(database, moved, a_tenant("globex"), a_tenant("initech"), now=service.now)
    await service.an_hour_later()
    held = {notice.tenant_id: notice.recipient for notice in await listing(database, [Status.HELD])}
    assert held == {"acme": "lee@vendor.example", "globex": "dana@vendor.example", "initech": "dana@vendor.example"}
    assert len(await listing(database, [Status.HELD])) == 3
