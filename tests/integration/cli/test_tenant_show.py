"""`tenants show`: how a tenant stands, who was told, and what happens next."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from checks.report import Excess
from monitor import cli
from monitor.clock import utc_now
from monitor.drift import EventKind
from monitor.store.database import Database
from tests.composer import ComposerHarness
from tests.fleet import settle_fleet
from tests.integration.cli.conftest import Documented
from tests.reports import finding, served
from tests.store import T0, a_tenant, check, sync
from tests.terminal import on_terminal, too_wide


def shown(capsys: pytest.CaptureFixture[str], tenant: str) -> str:
    capsys.readouterr()
    assert cli.run(["tenants", "show", tenant]) == 0
    return capsys.readouterr().out


def test_the_first_sentence_is_how_it_stands_and_since_when(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """For every status, with what happens next; the credential's state is a detail of it."""
    at = utc_now() - timedelta(minutes=5)
    statuses = ("failing", "drifted", "undecided", "new", "healthy")
    asyncio.run(settle_fleet(installed, {status: status for status in statuses}, at))
    for status in statuses:
        text = shown(capsys, status)
        since = datetime.fromisoformat(documented("tenants", "show", status)["status_since"])
        assert text.startswith(f"{status.title()} Corporation ({status}) is {status} since {since:%Y-%m-%d %H:%MZ}")
        assert "  The next check is " in text
    assert "\nDrifted Corporation lacks GET: jobs and GET: offers" in shown(capsys, "drifted")
    assert "  Ask the customer for what stands below." in shown(capsys, "drifted")
    assert "credential: Greenhouse accepts it\n" in shown(capsys, "drifted")
    assert "credential: invalid, Greenhouse does not know the key" in shown(capsys, "failing")
    assert "credential: not checked yet\n" in shown(capsys, "new")


def test_each_undecided_permission_says_why_and_what_decides_it(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """In words, by reason; in JSON at each permission."""
    letters = served({"jobs": "g", "offers": "u", "users": "u", "stages": "u"})
    reasons = {"offers": "no_positive_control", "users": "timeout", "stages": "timeout"}
    found = [finding(f.permission_id, f.verdict, reason=reasons.get(f.permission_id, "")) for f in letters.findings]

    async def prepare() -> None:
        await sync(installed, a_tenant("acme"))
        report = served({})
        await check(installed, type(report)(**{**_fields(report), "findings": tuple(found)}))

    asyncio.run(prepare())
    text = shown(capsys, "acme")
    assert (
        "  2 undecided, because no answer in time.\n    It is decided by the next check, which asks again.\n"
        "    undecided: Jobs › GET: stages, since "
    ) in text
    assert "  1 undecided, because nothing shows that the API serves this credential at all.\n" in text
    assert "It is decided by one list that the credential may read" in text
    (credential,) = documented("tenants", "show", "acme")["credentials"]
    decides = {one["id"]: one["what_decides"] for one in credential["permissions"]}
    assert decides["jobs"] is None
    assert decides["users"] == "the next check, which asks again"


def test_what_it_holds_beyond_the_manifest_is_told_with_its_doubt(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """What is certain and what is likely, each counted; and that nothing was refused, as the guess that it is."""
    letters = served({"jobs": "u"})
    undecided = tuple(finding(f.permission_id, f.verdict, reason="no_refusal") for f in letters.findings)
    excess = (Excess("GET: List EEOC", "GET /v1/eeoc", True), Excess("GET: Hiring Team", "GET /v1/jobs/{id}", False))

    async def prepare() -> None:
        await sync(installed, a_tenant("acme"))
        await check(installed, replace(letters, findings=undecided, excess=excess))

    asyncio.run(prepare())
    text = shown(capsys, "acme")
    assert "  holds more than the manifest asks for: 1 for certain: GET: List EEOC\n" in text
    assert "  holds more than the manifest asks for: 1 likely: GET: Hiring Team; the newest since " in text
    assert "  perhaps holds every permission: nothing was refused" in text
    (credential,) = documented("tenants", "show", "acme")["credentials"]
    assert credential["may_hold_everything"] is True
    assert {one["endpoint"]: one["certain"] for one in credential["excess_permissions"]} == {
        "GET /v1/eeoc": True,
        "GET /v1/jobs/{id}": False,
    }


def test_the_answer_behind_each_verdict_is_shown(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """Its status in words; in JSON also what vouched, and when that was."""
    statuses = {"m": 403, "u": 422, "g": 404}
    found = served({"jobs": "m", "offers": "u", "users": "g"})
    told = [replace(f, answered_status=statuses[f.verdict[0]], evidence=(f"{f.endpoint}/0",)) for f in found.findings]

    async def prepare() -> None:
        await sync(installed, a_tenant("acme"))
        for at in (T0, T0 + timedelta(minutes=1)):
            await check(installed, replace(found, findings=tuple(told)), at)

    asyncio.run(prepare())
    text = shown(capsys, "acme")
    assert "  missing: Jobs › GET: jobs, since 2026-11-23 08:00:00Z, answered 403\n" in text
    assert "    undecided: Jobs › GET: offers, since 2026-11-23 08:00:00Z, answered 422\n" in text
    (credential,) = documented("tenants", "show", "acme")["credentials"]
    kept = {p["id"]: (p["answered_status"], p["evidence"], p["more_evidence"]) for p in credential["permissions"]}
    assert kept == {
        "jobs": (403, ["GET /v1/jobs/0"], 0),
        "offers": (422, ["GET /v1/offers/0"], 0),
        "users": (404, ["GET /v1/users/0"], 0),
    }
    assert {datetime.fromisoformat(p["evidence_at"]) for p in credential["permissions"]} == {
        T0,
        T0 + timedelta(minutes=1),
    }


def _fields(report: object) -> dict[str, object]:
    return {name: getattr(report, name) for name in report.__dataclass_fields__}  # type: ignore[attr-defined]


def test_who_was_told_when_and_by_which_notice(
    installed: Database, capsys: pytest.CaptureFixture[str], documented: Documented
) -> None:
    """Each notice of the open incident, in words; and that nobody was, while changes are collected."""
    at = utc_now() - timedelta(minutes=5)
    asyncio.run(settle_fleet(installed, {"acme": "drifted"}, at))
    assert "  Nobody was told yet: changes are collected since " in shown(capsys, "acme")

    async def compose() -> None:
        await ComposerHarness(installed).run(utc_now() + timedelta(hours=1))

    asyncio.run(compose())
    assert "  An email to ops@vendor.example, written at " in shown(capsys, "acme")
    assert "(notice 1).\n" in shown(capsys, "acme")
    found = documented("tenants", "show", "acme")
    assert [(told["telling"], told["reader"], told["notice"]) for told in found["notices"]] == [
        ("pending", "ops@vendor.example", 1)
    ]
    assert found["told"] == found["notices"][0]


def test_80_columns_are_enough(installed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences break between words."""
    asyncio.run(settle_fleet(installed, {"acme": "failing"}, utc_now()))
    lines = on_terminal(monkeypatch, 80, lambda: cli.run(["tenants", "show", "acme"]))
    assert lines[0].startswith("Acme Corporation (acme) is failing since")
    assert too_wide(lines, 80) == []


def test_the_list_of_notices_fits_80_columns(
    installed: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With tenant and, where it was sent, when; a pipe has all of it, and when it was written."""

    async def prepare() -> None:
        world = ComposerHarness(installed)
        await world.burst(EventKind.LOST, 3)
        await world.run()

    asyncio.run(prepare())
    lines = on_terminal(monkeypatch, 80, lambda: cli.run(["notices", "list"]))
    assert too_wide(lines, 80) == []
    assert lines[0].split() == ["NUMBER", "TENANT", "STATUS", "TO", "SUBJECT"]
    assert [line.split()[1:3] for line in lines[-4:-1]] == [[f"burst{number}", "held"] for number in (2, 1, 0)]
    capsys.readouterr()
    assert cli.run(["notices", "list"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split("\t")
    assert header[:5] == ["NUMBER", "WRITTEN", "TENANT", "STATUS", "SENT"]
