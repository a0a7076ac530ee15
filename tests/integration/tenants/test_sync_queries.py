"""Syncing the stored tenants with the file, and its effect on checks, incidents and claims."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, event

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialState
from monitor.checking import claim_queries
from monitor.checking.claim_queries import Due
from monitor.checking.recording_queries import record
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, DRIFT_EVENT, INCIDENT, PERMISSION_STATE, TENANT
from monitor.tenants import overview_queries
from monitor.tenants.file import Declined, TenantConfig, TenantProblem
from monitor.tenants.sync_queries import Synced
from tests.reports import DIGEST, HOUR, KEY, MINUTE, POLICY, T0, failed, served
from tests.store import a_tenant, check, claim, everything, rows, sync

SOON, LATER = T0 + 5 * MINUTE, T0 + HOUR


async def test_new_tenants_are_due_at_once(database: Database) -> None:
    """What the file says is stored, and the first checks do not wait."""
    declined = Declined("PUT: Merge two candidates", "ticket 4711", date(2026, 5, 2), None)
    acme = a_tenant("acme", "One", "Two", name="Acmé Corp", features=["eeoc"], declined=[declined])
    assert await sync(database, acme, a_tenant("globex")) == Synced(added=2, changed=0, removed=0)
    stored, _ = await rows(database, TENANT)
    assert stored == {
        "id": "acme", "name": "Acmé Corp", "csm_name": "Dana Reyes", "csm_email": "dana@vendor.example",
        "features": ["eeoc"], "write_probes": None, "problem": None, "row_digest": acme.row_digest,
        "declined": [
            {"permission": "PUT: Merge two candidates", "reference": "ticket 4711", "since": "2026-05-02", "by": None}
        ],
        "created_at": T0, "removed_at": None, "paused": None, "status": "new", "severity": 3, "status_since": T0,
    }  # fmt: skip
    found = [(row["tenant_id"], row["label"], row["next_due"]) for row in await rows(database, CREDENTIAL)]
    assert found == [("acme", "One", T0), ("acme", "Two", T0), ("globex", "Gem Harvest API Key", T0)]


async def test_an_unchanged_file_writes_nothing(database: Database) -> None:
    """Reading the same file again changes no row."""
    problem = TenantProblem("initech", 9, "tenants.yaml:9: name is missing (tenant initech)")
    await sync(database, a_tenant("acme"), problems=[problem])
    before = await everything(database)
    assert await sync(database, a_tenant("acme"), problems=[problem], now=LATER) == Synced(0, 0, 0)
    assert await everything(database) == before


ACME = a_tenant("acme")


@pytest.mark.parametrize(
    ("changed", "due_at_once"),
    [
        (a_tenant("acme", name="Acme Corporation"), False),
        (replace(ACME, csm_email="lee@vendor.example", row_digest="1"), False),
        (a_tenant("acme", features=["eeoc"]), True),
        (a_tenant("acme", write_probes=WriteProbes.SAFE), True),
        (a_tenant("acme", declined=[Declined("GET: jobs", "t", None, None)]), True),
        (a_tenant("acme", reference="env:OTHER"), True),
        (a_tenant("acme", manifest="small.yaml"), True),
    ],
)
async def test_a_change_of_the_check_request_is_checked_at_once(
    database: Database, changed: TenantConfig, due_at_once: bool
) -> None:
    """With a full check; a change of names or people does not change when the next check is due."""
    await sync(database, ACME)
    await check(database, served({"jobs": "m"}))
    assert (await claim(database, now=SOON)).suspicion.only(KEY, DIGEST) == frozenset({"jobs"})
    (before,) = await rows(database, CREDENTIAL)
    assert await sync(database, changed, now=SOON) == Synced(added=0, changed=1, removed=0)
    (after,) = await rows(database, CREDENTIAL)
    assert after["next_due"] == (SOON if due_at_once else before["next_due"])
    assert ((await claim(database, now=SOON)).suspicion.only(KEY, DIGEST) is None) == due_at_once


async def test_a_running_check_of_a_changed_row_is_not_recorded(database: Database) -> None:
    """It used the old row; the check that is due now uses the new one."""
    await sync(database, ACME, a_tenant("globex"))
    changed, unchanged = await claim(database, 1), await claim(database, 2)
    await sync(database, a_tenant("acme", reference="env:OTHER"), a_tenant("globex", name="Globex Inc"), now=SOON)
    assert await record(database, changed, served({"jobs": "g"}), KEY, SOON, POLICY) is None
    assert await record(database, unchanged, served({"jobs": "g"}), KEY, SOON, POLICY) is not None


async def test_two_processes_reading_the_same_file_at_once_agree(workers: list[Database]) -> None:
    """The second one finds nothing left to do."""
    file = [a_tenant(f"tenant-{number}") for number in range(300)]
    done = await asyncio.gather(*(sync(database, *file) for database in workers))
    assert sorted(synced.added for synced in done) == [0, 0, 0, 300]


async def test_a_removed_tenant_keeps_its_history(database: Database) -> None:
    """It is not checked any more; its rows stay, its open incident is resolved, and a running check records nothing."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    for hour in range(2):
        await check(database, failed(CredentialState.INVALID), T0 + hour * HOUR)
    under_way = await claim(database)
    assert await sync(database, a_tenant("globex"), now=LATER) == Synced(added=0, changed=0, removed=1)
    acme, globex = await rows(database, TENANT)
    assert (acme["removed_at"], globex["removed_at"]) == (LATER, None)
    assert (await rows(database, CREDENTIAL))[0]["next_due"] is None
    assert [row["resolved_at"] for row in await rows(database, INCIDENT)] == [LATER]
    assert len(await rows(database, DRIFT_EVENT)) == 1
    assert await record(database, under_way, served({"jobs": "g"}), KEY, LATER, POLICY) is None
    async with database.reading() as conn:
        assert [line.id for line in await overview_queries.tenants(conn)] == ["globex"]


async def test_a_tenant_that_comes_back_continues(database: Database) -> None:
    """It is checked at once, and what was known about the same key still counts: what is missing now was lost."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    await sync(database)
    assert await sync(database, a_tenant("acme"), now=LATER) == Synced(added=1, changed=0, removed=0)
    async with database.reading() as conn:
        assert await claim_queries.due(conn, LATER, limit=10) == Due(pressing=[], ordinary=[1])
    for minute in range(2):
        await check(database, served({"jobs": "m"}), LATER + timedelta(minutes=minute))
    assert [row["kind"] for row in await rows(database, DRIFT_EVENT)] == ["lost"]


async def test_the_trouble_of_a_removed_credential_ends(database: Database) -> None:
    """The tenant's incident ends with the credential that had the trouble; the other credential continues."""
    await sync(database, a_tenant("acme", "One", "Two"))
    for hour in range(2):
        await check(database, failed(CredentialState.INVALID), T0 + hour * HOUR, credential_id=2)
    await sync(database, a_tenant("acme", "One", "Three"), now=LATER)
    one, two, three = await rows(database, CREDENTIAL)
    assert (one["next_due"], two["next_due"], three["next_due"]) == (T0, None, LATER)
    assert (two["removed_at"], three["label"]) == (LATER, "Three")
    assert [row["resolved_at"] for row in await rows(database, INCIDENT)] == [LATER]


async def test_a_bad_row_makes_its_credentials_misconfigured(database: Database) -> None:
    """The tenant stays: its credentials are not checked, an event says why, and a corrected row is checked at once."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    await check(database, served({"jobs": "g"}))
    under_way = await claim(database)
    problem = TenantProblem("acme", 3, "tenants.yaml:3: name is missing (tenant acme)")
    assert await sync(database, a_tenant("globex"), problems=[problem], now=LATER) == Synced(0, 1, 0)
    acme, _ = await rows(database, TENANT)
    assert (acme["problem"], acme["name"], acme["removed_at"]) == (problem.message, "Acme", None)
    credential, other = await rows(database, CREDENTIAL)
    assert (credential["state"], credential["detail"]) == ("misconfigured", problem.message)
    assert (credential["next_due"], other["next_due"]) == (None, T0)
    assert await record(database, under_way, served({"jobs": "g"}), KEY, LATER, POLICY) is None
    (failed_event,) = await rows(database, DRIFT_EVENT)
    assert failed_event == failed_event | {
        "kind": "credential_failed",
        "state": "misconfigured",
        "detail": problem.message,
    }
    assert [row["verdict"] for row in await rows(database, PERMISSION_STATE)] == ["granted"]

    await sync(database, a_tenant("acme"), a_tenant("globex"), now=LATER + HOUR)
    recorded = await check(database, served({"jobs": "g"}), LATER + HOUR)
    assert [recovered.kind for recovered in recorded.events] == ["recovered"]
    assert (await rows(database, INCIDENT))[0]["resolved_at"] == LATER + HOUR


async def test_another_mistake_in_a_bad_row_is_not_a_new_event(database: Database) -> None:
    """The credential stays misconfigured; its detail is updated."""
    await sync(database, a_tenant("acme"))
    for text in ("first", "second"):
        await sync(database, problems=[TenantProblem("acme", 3, text)])
    assert [row["detail"] for row in await rows(database, DRIFT_EVENT)] == ["first"]
    assert [row["detail"] for row in await rows(database, CREDENTIAL)] == ["second"]


async def test_a_bad_row_of_a_new_tenant_is_shown(database: Database) -> None:
    """There is nothing to check yet, but the list shows the tenant."""
    await sync(database, problems=[TenantProblem("acme", 3, "no credential"), TenantProblem(None, 7, "no id")])
    async with database.reading() as conn:
        (line,) = await overview_queries.tenants(conn)
    assert (line.id, line.state, line.problem) == ("acme", CredentialState.MISCONFIGURED, "no credential")


async def test_a_problem_beside_a_usable_row_stops_only_what_it_concerns(database: Database) -> None:
    """One credential of two is left out of the row: the other is still checked."""
    await sync(database, a_tenant("acme", "One", "Two"))
    await sync(database, a_tenant("acme", "One"), problems=[TenantProblem("acme", 3, "Two is not checked")], now=LATER)
    one, two = await rows(database, CREDENTIAL)
    assert (one["state"], one["next_due"]) == ("ok", T0)
    assert (two["state"], two["next_due"], two["removed_at"]) == ("misconfigured", None, None)


@contextmanager
def _counted() -> Iterator[list[str]]:
    """The statements sent in this context; one for many rows counts once."""
    sent: list[str] = []

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


async def test_ten_thousand_tenants_are_written_in_bulk(database: Database) -> None:
    """A first file of 10,000 rows, the same again, one with a change in every row, and an empty one.

    Statements are counted, not seconds, which depend on the machine: with SQLite about 1.5, 0.1, 1 and 0.1 s on two
    busy cores.
    """
    tenants = [a_tenant(f"tenant-{number:05}") for number in range(10_000)]
    changed = [a_tenant(f"tenant-{number:05}", features=["eeoc"]) for number in range(10_000)]
    for file, done, most in [
        (tenants, Synced(10_000, 0, 0), 10),
        (tenants, Synced(0, 0, 0), 5),
        (changed, Synced(0, 10_000, 0), 200),
        ([], Synced(0, 0, 10_000), 60),
    ]:
        with _counted() as sent:
            assert await sync(database, *file) == done
        assert len(sent) <= most, f"{done} took {len(sent)} statements"


async def test_a_corrected_label_is_the_same_credential(database: Database) -> None:
    """Kept in the same place as the one whose label is gone: its history goes on, and nothing is found or removed."""
    await sync(database, a_tenant("acme", "Gem", "Other", reference="env:KEY"), a_tenant("globex", "Gem"))
    await sync(database, a_tenant("globex", "Gem (new)"), a_tenant("acme", "Gem", "Other", reference="env:KEY"))
    before = {(row["tenant_id"], row["label"]): row["id"] for row in await rows(database, CREDENTIAL)}
    assert set(before) == {("acme", "Gem"), ("acme", "Other"), ("globex", "Gem (new)")}
    # Two are kept in the same place as the new one: nobody can say which of them it is.
    await sync(database, a_tenant("globex", "Gem (new)"), a_tenant("acme", "Third", reference="env:KEY"))
    after = {(row["tenant_id"], row["label"]): row["removed_at"] for row in await rows(database, CREDENTIAL)}
    assert {key for key, removed_at in after.items() if removed_at is None} == {
        ("acme", "Third"),
        ("globex", "Gem (new)"),
    }
    # Another reference is another credential.
    await sync(database, a_tenant("globex", "Gem (new)"), a_tenant("acme", "Fourth", reference="env:ELSEWHERE"))
    assert len(await rows(database, CREDENTIAL)) == 5
