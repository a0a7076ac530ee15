"""What a check records, on SQLite and on Postgres: all of it or nothing, and only for the newest claim."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialState
from checks.report import CheckReport, Excess, Outcome
from monitor.checking import claim_queries
from monitor.checking.recording_queries import Recorded, record
from monitor.checking.schedule import key_of, next_regular
from monitor.drift.suspicion import Suspicion
from monitor.errors import StoreError
from monitor.incidents.rules import Step
from monitor.store.database import Database
from monitor.store.tables import (
    CAUSE,
    CHECK,
    CREDENTIAL,
    DRIFT_EVENT,
    EXCESS_STATE,
    INCIDENT,
    PERMISSION_STATE,
    REFUSAL,
    TENANT,
)
from monitor.tenants.file import Declined
from tests.reports import DIGEST, HOUR, KEY, MINUTE, OTHER_KEY, POLICY, T0, failed, paused, served
from tests.store import LEASE, a_tenant, check, claim, everything, rows, sync

DAY = 24 * HOUR
INVALID, UNREACHABLE = CredentialState.INVALID, CredentialState.UNREACHABLE
LABEL = "Gem Harvest API Key"


async def _kinds(database: Database) -> list[str]:
    return [row["kind"] for row in await rows(database, DRIFT_EVENT)]


async def _causes(database: Database) -> list[tuple[str, str]]:
    return [(row["audience"], row["brake_key"]) for row in await rows(database, CAUSE)]


async def test_a_first_check_is_recorded_completely(database: Database) -> None:
    """The credential's state, permissions, excess, refusals and the summary of one check."""
    await sync(database, a_tenant("acme"))
    report = served({"a": "g", "b": "m", "c": "u", "d": "n"}, excess=[Excess("List x", "GET /v1/x", True)])
    recorded = await check(database, report)
    assert (recorded.outcome, recorded.incident) == (Outcome.UNDECIDED, Step.NONE)
    assert recorded.next_due == T0 + MINUTE
    (credential,) = await rows(database, CREDENTIAL)
    assert credential == credential | {
        "state": "ok", "state_since": T0, "fingerprint": KEY, "manifest_digest": DIGEST, "baseline_at": T0,
        "last_checked_at": T0, "last_full_at": T0, "last_outcome": "undecided", "next_due": T0 + MINUTE, "epoch": 1,
        "granted": 1, "missing": 0, "undecided": 1, "unchecked": 1, "suspects": 1, "carried": 0, "excess": 1,
    }  # fmt: skip
    states = {row["permission_id"]: row for row in await rows(database, PERMISSION_STATE)}
    assert (states["a"]["verdict"], states["a"]["since"], states["a"]["permission_label"]) == ("granted", T0, "GET: a")
    assert (states["b"]["verdict"], states["b"]["suspect_since"], states["b"]["suspect_looks"]) == (None, T0, 1)
    assert (states["c"]["undecided_as"], states["d"]["undecided_as"]) == ("undecided", "not_checkable")
    (excess,) = await rows(database, EXCESS_STATE)
    assert excess == {"credential_id": 1, "endpoint": "GET /v1/x", "label": "List x", "certain": True, "since": T0}
    assert await rows(database, REFUSAL) == [
        {"credential_id": 1, "endpoint": "GET /v1/b", "fingerprint": KEY, "seen_at": T0}
    ]
    (summary,) = await rows(database, CHECK)
    assert summary == summary | {
        "tenant_id": "acme", "started_at": T0, "duration_seconds": 1.5, "manifest_name": "small", "fingerprint": KEY,
        "state": "ok", "outcome": "drifted", "granted": 1, "missing": 1, "undecided": 1, "unchecked": 1, "excess": 1,
        "requests": 4, "partial": False,
    }  # fmt: skip
    assert await _causes(database) == [("operator", "excess_found:GET /v1/x")]


async def test_a_loss_from_suspicion_to_regain(database: Database) -> None:
    """One permission: its events with their windows, one incident for both, and causes for the CSM."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    suspected = await check(database, served({"jobs": "m"}), T0 + 4 * HOUR)
    assert (suspected.events, suspected.incident, suspected.outcome) == ((), Step.NONE, Outcome.COMPLIANT)
    lost = await check(database, served({"jobs": "m"}, partial=True), T0 + 4 * HOUR + MINUTE)
    assert (lost.incident, lost.outcome) == (Step.OPEN, Outcome.DRIFTED)
    assert lost.next_due == next_regular(key_of("acme", LABEL), T0 + 4 * HOUR + MINUTE, POLICY.interval)
    kept = await check(database, served({"jobs": "u"}), T0 + 8 * HOUR)
    assert (kept.incident, kept.outcome) == (Step.KEEP, Outcome.DRIFTED)
    back = await check(database, served({"jobs": "g"}), T0 + 12 * HOUR)
    assert (back.incident, back.outcome) == (Step.RESOLVE, Outcome.COMPLIANT)

    first, second = await rows(database, DRIFT_EVENT)
    assert first == first | {
        "kind": "lost", "at": T0 + 4 * HOUR + MINUTE, "tenant_id": "acme", "credential_id": 1, "check_id": 3,
        "incident_id": 1, "permission_id": "jobs", "permission_group": "Jobs", "permission_label": "GET: jobs",
        "rule": "V18", "seen_before": T0, "first_seen": T0 + 4 * HOUR, "manifest_digest": DIGEST,
    }  # fmt: skip
    assert second == second | {"kind": "regained", "incident_id": 1, "first_seen": T0 + 12 * HOUR}
    (incident,) = await rows(database, INCIDENT)
    assert (incident["opened_at"], incident["resolved_at"]) == (T0 + 4 * HOUR + MINUTE, T0 + 12 * HOUR)
    assert await _causes(database) == [("csm", "lost:jobs"), ("csm", "regained:jobs")]


@pytest.mark.parametrize(
    "before", [[], [served({"jobs": "g"})], [served({"jobs": "g"}), failed(CredentialState.BLOCKED)]]
)
async def test_a_paused_check_records_its_summary_and_is_due_at_once(
    database: Database, before: list[CheckReport]
) -> None:
    """The state and its counts do not change, whether the credential is new, works or is suspect."""
    await sync(database, a_tenant("acme"))
    for number, report in enumerate(before):
        await check(database, report, T0 + number * HOUR)
    (known,) = await rows(database, CREDENTIAL)
    permissions = await rows(database, PERMISSION_STATE)

    now = T0 + 9 * HOUR
    recorded = await check(database, paused(), now, fingerprint=OTHER_KEY)
    assert (recorded.events, recorded.incident, recorded.next_due) == ((), Step.NONE, now)
    (credential,) = await rows(database, CREDENTIAL)
    assert credential == known | {"next_due": now, "epoch": known["epoch"] + 1}
    assert await rows(database, PERMISSION_STATE) == permissions
    summary = (await rows(database, CHECK))[-1]
    assert summary == summary | {"state": "ok", "detail": "paused", "outcome": "undecided", "undecided": 1}

    cleared = await check(database, served({"jobs": "g"}), now + MINUTE)
    assert (cleared.events, cleared.incident) == ((), Step.NONE)
    assert (await rows(database, CREDENTIAL))[0]["suspect_state"] is None


async def test_an_invalid_key_and_its_recovery(database: Database) -> None:
    """Two failing checks open an incident, and the CSM is notified of the failure and of the recovery."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    assert (await check(database, failed(INVALID), T0 + HOUR)).next_due == T0 + HOUR + MINUTE
    assert (await check(database, failed(INVALID), T0 + HOUR + MINUTE)).incident is Step.OPEN
    assert (await check(database, served({"jobs": "g"}), T0 + 2 * HOUR)).incident is Step.RESOLVE
    assert await _kinds(database) == ["credential_failed", "recovered"]
    assert await _causes(database) == [("csm", "credential_failed:invalid"), ("csm", "recovered:invalid")]


async def test_a_new_secret_starts_a_baseline_within_the_incident(database: Database) -> None:
    """Replaced and still missing: found again, without a new cause, and the incident stays open."""
    await sync(database, a_tenant("acme"))
    for number, verdict in enumerate("gmm"):
        await check(database, served({"jobs": verdict, "offers": "g"}), T0 + number * HOUR)
    replaced = await check(database, served({"jobs": "m", "offers": "m"}), T0 + 3 * HOUR, fingerprint=OTHER_KEY)
    assert replaced.incident is Step.KEEP
    assert {row["fingerprint"] for row in await rows(database, REFUSAL)} == {OTHER_KEY}
    found = await check(database, served({"jobs": "m", "offers": "m"}), T0 + 4 * HOUR, fingerprint=OTHER_KEY)
    assert found.incident is Step.KEEP
    repaired = await check(database, served({"jobs": "g", "offers": "g"}), T0 + 5 * HOUR, fingerprint=OTHER_KEY)
    assert repaired.incident is Step.RESOLVE
    assert await _kinds(database) == ["lost", "replaced", "found", "found", "regained", "regained"]
    assert {row["incident_id"] for row in await rows(database, DRIFT_EVENT)} == {1}
    assert await _causes(database) == [
        ("csm", "lost:jobs"),
        ("operator", "found:offers"),  # the CSM was already notified of jobs
        ("csm", "regained:jobs"),
        ("operator", "regained:offers"),
    ]


async def test_an_incident_is_the_tenants_not_the_credentials(database: Database) -> None:
    """Two credentials with problems have one incident, which ends when both are repaired."""
    await sync(database, a_tenant("acme", "One", "Two"))
    steps = []
    for hour, (credential_id, verdict) in enumerate([(1, "m"), (1, "m"), (2, "m"), (2, "m"), (1, "g"), (2, "g")]):
        report = served({"jobs": verdict})
        steps.append((await check(database, report, T0 + hour * HOUR, credential_id=credential_id)).incident)
    assert steps == [Step.NONE, Step.OPEN, Step.KEEP, Step.KEEP, Step.KEEP, Step.RESOLVE]
    assert len(await rows(database, INCIDENT)) == 1


async def test_a_suspicion_keeps_an_incident_open(database: Database) -> None:
    """While a credential of the tenant is suspect, nobody is notified that everything works again."""
    await sync(database, a_tenant("acme", "One", "Two"))
    steps = []
    for hour, (credential_id, report) in enumerate(
        [
            (1, served({"jobs": "m"})),
            (1, served({"jobs": "m"})),
            (2, failed(INVALID)),
            (1, served({"jobs": "g"})),
            (2, served({"jobs": "g"})),
        ]
    ):
        steps.append((await check(database, report, T0 + hour * HOUR, credential_id=credential_id)).incident)
    assert steps == [Step.NONE, Step.OPEN, Step.KEEP, Step.KEEP, Step.RESOLVE]


async def test_excess_is_no_part_of_the_incident(database: Database) -> None:
    """It is recorded, but without the open incident."""
    await sync(database, a_tenant("acme"))
    for hour in range(2):
        await check(database, served({"jobs": "m"}), T0 + hour * HOUR)
    await check(database, served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]), T0 + 2 * HOUR)
    assert [(row["kind"], row["incident_id"]) for row in await rows(database, DRIFT_EVENT)] == [
        ("found", 1),
        ("excess_found", None),
    ]


async def test_a_later_loss_is_another_incident(database: Database) -> None:
    """A resolved incident stays resolved; the next loss opens a new one."""
    await sync(database, a_tenant("acme"))
    for hour, verdict in enumerate("gmmgmm"):
        await check(database, served({"jobs": verdict}), T0 + hour * HOUR)
    assert [row["resolved_at"] is None for row in await rows(database, INCIDENT)] == [False, True]
    assert [row["incident_id"] for row in await rows(database, DRIFT_EVENT)] == [1, 1, 2]


async def test_what_leaves_the_manifest_ends_the_incident(database: Database) -> None:
    """It has no event, but nothing is left to repair."""
    await sync(database, a_tenant("acme"))
    for hour in range(2):
        await check(database, served({"jobs": "m", "offers": "g"}), T0 + hour * HOUR)
    recorded = await check(database, served({"offers": "g"}, digest="e" * 16), T0 + 2 * HOUR)
    assert (recorded.events, recorded.incident) == ((), Step.RESOLVE)
    assert [row["permission_id"] for row in await rows(database, PERMISSION_STATE)] == ["offers"]


async def test_nothing_is_recorded_if_one_write_fails(database: Database) -> None:
    """It is one transaction: a failure at its end rolls back states, events and summary."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    await check(database, served({"jobs": "m"}), T0 + HOUR)
    claimed = await claim(database, now=T0 + 2 * HOUR)
    before = await everything(database)
    async with database.writing() as conn:  # the cause is the last row that a loss writes
        await conn.execute(text("ALTER TABLE cause RENAME TO cause_away"))
    with pytest.raises((DBAPIError, StoreError), match="cause"):  # Postgres says that the tables are not ours
        await record(database, claimed, served({"jobs": "m"}), KEY, T0 + 2 * HOUR, POLICY)
    async with database.writing() as conn:
        await conn.execute(text("ALTER TABLE cause_away RENAME TO cause"))
    assert await everything(database) == before
    recorded = await record(database, claimed, served({"jobs": "m"}), KEY, T0 + 2 * HOUR, POLICY)
    assert recorded is not None
    assert await _causes(database) == [("csm", "lost:jobs")]


async def test_a_check_cancelled_while_it_is_recorded_leaves_all_or_nothing(database: Database) -> None:
    """Cancelled at any moment of its transaction, and the next check is recorded as usual."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    before = len(await rows(database, CHECK))
    for number in range(30):
        claimed = await claim(database, now=T0 + number * MINUTE)
        report = served({"jobs": "gm"[number % 2], "offers": "mg"[number % 2]})
        writing = asyncio.create_task(record(database, claimed, report, KEY, T0 + number * MINUTE, POLICY))
        await asyncio.sleep(number * 0.001)
        writing.cancel()
        (recorded,) = await asyncio.gather(writing, return_exceptions=True)
        checks, (credential,) = await rows(database, CHECK), await rows(database, CREDENTIAL)
        whole = isinstance(recorded, Recorded)
        assert len(checks) - before in ((1,) if whole else (0, 1))
        suspects = [row for row in await rows(database, PERMISSION_STATE) if row["suspect_since"] is not None]
        assert credential["suspects"] == len(suspects)
        before = len(checks)
    recorded = await check(database, served({"jobs": "g", "offers": "g"}), T0 + HOUR)
    assert recorded.outcome is Outcome.COMPLIANT


async def test_an_older_claim_records_nothing(database: Database) -> None:
    """A worker that was frozen while another one claimed the credential is refused and writes nothing."""
    await sync(database, a_tenant("acme"))
    frozen = await claim(database)
    await claim(database)
    before = await everything(database)
    assert await record(database, frozen, served({"jobs": "g"}), KEY, T0, POLICY) is None
    assert await everything(database) == before


async def test_a_newer_claim_fences_even_before_it_records(database: Database) -> None:
    """Only the newest claim records, in whatever order they end."""
    await sync(database, a_tenant("acme"))
    first, second = await claim(database), await claim(database)
    assert await record(database, second, served({"jobs": "g"}), KEY, T0, POLICY) is not None
    assert await record(database, first, served({"jobs": "m"}), KEY, T0 + MINUTE, POLICY) is None
    assert [row["verdict"] for row in await rows(database, PERMISSION_STATE)] == ["granted"]


async def test_a_record_waits_for_an_uncommitted_claim(workers: list[Database]) -> None:
    """It comes after that claim, and is refused."""
    await sync(workers[0], a_tenant("acme"))
    older = await claim(workers[0])
    async with workers[1].writing() as conn:
        await claim_queries.claim(conn, 1, T0, POLICY.interval, leased_until=T0 + LEASE)
        recording = asyncio.create_task(record(workers[0], older, served({"jobs": "g"}), KEY, T0, POLICY))
        await asyncio.sleep(0.1)
        assert not recording.done()
    assert await recording is None
    assert await rows(workers[0], CHECK) == []


async def test_of_racing_claims_one_records(workers: list[Database]) -> None:
    """Twelve records of one credential at the same time, each with its own claim: only the newest is written."""
    await sync(workers[0], a_tenant("acme"))
    claims = [await claim(workers[number % 4]) for number in range(12)]
    written = await asyncio.gather(
        *(record(workers[n % 4], c, served({"jobs": "g"}), KEY, T0, POLICY) for n, c in enumerate(claims))
    )
    assert [recorded is not None for recorded in written] == [False] * 11 + [True]
    assert len(await rows(workers[0], CHECK)) == 1


async def test_claiming_and_recording_at_once_never_write_twice(workers: list[Database]) -> None:
    """Workers claim and record as fast as they can: each record follows its own claim, and no two share one."""
    await sync(workers[0], a_tenant("acme"))
    epochs = []

    async def work(number: int, database: Database) -> None:
        for _ in range(5):
            claimed = await claim(database)
            await asyncio.sleep(0.002 * number)
            if await record(database, claimed, served({"jobs": "g"}), KEY, T0, POLICY) is not None:
                epochs.append(claimed.epoch)

    await asyncio.gather(*(work(number, database) for number, database in enumerate(workers)))
    assert len(epochs) == len(set(epochs)) == len(await rows(workers[0], CHECK))
    assert epochs == sorted(epochs)
    (credential,) = await rows(workers[0], CREDENTIAL)
    assert credential["epoch"] == 20


async def test_two_credentials_of_a_tenant_open_one_incident_even_at_once(workers: list[Database]) -> None:
    """The tenant's row is locked while it is written: no second incident opens, and none is missed."""
    database = workers[0]
    labels = [f"Key {number}" for number in range(8)]
    await sync(database, a_tenant("acme", *labels))
    for credential_id in range(1, 9):
        await check(database, failed(INVALID), credential_id=credential_id)
    claims = [await claim(database, credential_id) for credential_id in range(1, 9)]
    written = await asyncio.gather(
        *(record(workers[n % 4], c, failed(INVALID), KEY, T0 + HOUR, POLICY) for n, c in enumerate(claims))
    )
    assert sorted(recorded.incident for recorded in written if recorded) == [Step.KEEP] * 7 + [Step.OPEN]
    assert len(await rows(database, INCIDENT)) == 1


async def test_a_record_waits_while_the_tenants_row_is_locked(database: Database) -> None:
    """An operator's action that locks the tenant's row is not overwritten: the record comes after it."""
    await sync(database, a_tenant("acme"))
    claimed = await claim(database)
    async with database.writing() as conn:
        lock = select(TENANT.c.id).where(TENANT.c.id == "acme").with_for_update(key_share=True)
        await conn.execute(lock)  # the weaker lock, which a foreign key alone would not wait for
        recording = asyncio.create_task(record(database, claimed, served({"jobs": "g"}), KEY, T0, POLICY))
        await asyncio.sleep(0.1)
        assert not recording.done()
    assert await recording is not None


async def test_a_claim_says_what_is_known_of_the_permissions(database: Database) -> None:
    """Of a key as well: what says otherwise has to be shown more than once."""
    await sync(database, a_tenant("acme"))
    for moment in (T0, T0 + MINUTE):
        await check(database, served({"jobs": "m", "offers": "g", "users": "u"}), moment)
    suspicion = (await claim(database, now=T0 + HOUR)).suspicion
    assert (suspicion.granted, suspicion.missing) == ({"offers"}, {"jobs"})


async def test_refusals_are_remembered_for_the_same_secret(database: Database) -> None:
    """For thirty days, renewed by later checks, and not for a new secret."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "m", "offers": "m"}))
    await check(database, served({"jobs": "m", "offers": "g"}), T0 + 2 * DAY)
    claimed = await claim(database, now=T0 + 31 * DAY)
    assert claimed.suspicion.remembered(KEY) == {"GET /v1/jobs"}
    assert claimed.suspicion.remembered(OTHER_KEY) == frozenset()
    async with database.writing() as conn:
        await conn.execute(update(REFUSAL).values(fingerprint=OTHER_KEY))
    assert (await claim(database, now=T0 + 31 * DAY)).suspicion.remembered(KEY) == frozenset()


async def test_a_refusal_is_updated_once_a_day(database: Database) -> None:
    """A permission that is missing for weeks costs no write at every check."""
    await sync(database, a_tenant("acme"))
    for hours, seen_at in [(0, T0), (20, T0), (25, T0 + 25 * HOUR)]:
        await check(database, served({"jobs": "m"}), T0 + hours * HOUR)
        assert [row["seen_at"] for row in await rows(database, REFUSAL)] == [seen_at]


async def test_a_claim_between_full_checks_is_about_suspects(database: Database) -> None:
    """Only suspects and their controls, until the credential's own time in the interval, which brings a full check."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "m", "offers": "g"}))
    soon = await claim(database, now=T0 + MINUTE)
    assert soon.suspicion.only(KEY, DIGEST) == frozenset({"jobs"})
    assert soon.suspicion.only(OTHER_KEY, DIGEST) is None  # replaced since
    assert soon.suspicion.only(KEY, "e" * 16) is None  # another manifest
    regular = next_regular(key_of("acme", LABEL), T0, POLICY.interval)
    assert (await claim(database, now=regular - timedelta(seconds=1))).suspicion.only(KEY, DIGEST) == frozenset(
        {"jobs"}
    )
    assert (await claim(database, now=regular)).suspicion.only(KEY, DIGEST) is None


async def test_a_suspect_credential_is_checked_in_full(database: Database) -> None:
    """A suspicion about the credential itself is not settled by single permissions."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "m"}))
    await check(database, failed(UNREACHABLE), T0 + MINUTE)
    assert (await claim(database, now=T0 + 2 * MINUTE)).suspicion.only(KEY, DIGEST) is None


async def test_a_claim_has_all_that_the_check_needs(database: Database) -> None:
    """Reference, manifest, features and declined permissions come from the stored row; the key itself is not stored."""
    tenant = a_tenant(
        "acme",
        features=["eeoc"],
        declined=[Declined("GET: jobs", "ticket 1", None, "Dana")],
        write_probes=WriteProbes.SAFE,
        reference="file:/run/secrets/acme",
        manifest="small.yaml",
    )
    await sync(database, tenant)
    claimed = await claim(database)
    assert (claimed.tenant_id, claimed.label, claimed.config.kind) == ("acme", LABEL, "harvest-key")
    assert (claimed.config.reference, claimed.config.manifest) == ("file:/run/secrets/acme", "small.yaml")
    assert (claimed.features, claimed.declined) == (frozenset({"eeoc"}), ("GET: jobs",))
    assert claimed.write_probes is WriteProbes.SAFE
    assert claimed.suspicion == Suspicion()


async def test_a_removed_credential_cannot_be_claimed(database: Database) -> None:
    """A credential removed between dispatch and claim is not checked."""
    await sync(database, a_tenant("acme"))
    await sync(database)
    async with database.writing() as conn:
        assert await claim_queries.claim(conn, 1, T0, POLICY.interval, leased_until=T0 + LEASE) is None
        assert await claim_queries.claim(conn, 999, T0, POLICY.interval, leased_until=T0 + LEASE) is None
