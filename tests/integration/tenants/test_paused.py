"""A tenant that the tenants file pauses, and that goes on later."""

from datetime import date

from checks.credential import CredentialState
from monitor.checking import claim_queries
from monitor.checking.claim_queries import Due
from monitor.checking.recording_queries import record
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.store.database import Database
from monitor.store.tables import CAUSE, CREDENTIAL, DRIFT_EVENT, INCIDENT, NOTICE, TENANT
from monitor.tenants.file import Paused, TenantProblem
from tests.installation import NOTICES
from tests.reports import DIGEST, HOUR, KEY, MINUTE, POLICY, T0, failed, served
from tests.store import a_tenant, check, claim, rows, sync

WHY = Paused("ticket 4711", date(2026, 5, 2), "Dana")
LATER, MUCH_LATER = T0 + HOUR, T0 + 48 * HOUR


async def _due(database: Database) -> Due:
    async with database.reading() as conn:
        return await claim_queries.due(conn, MUCH_LATER, limit=10)


async def test_a_paused_tenant_is_not_checked_and_keeps_its_last_state(database: Database) -> None:
    """Nothing of it is due, a running check is not recorded, and its incident and counts stay as they are."""
    await sync(database, a_tenant("acme"))
    for minute in range(2):
        await check(database, served({"jobs": "m"}), T0 + minute * MINUTE)
    under_way = await claim(database, now=LATER)
    await sync(database, a_tenant("acme", paused=WHY), now=LATER)
    assert await _due(database) == Due([], [])
    assert await record(database, under_way, served({"jobs": "g"}), KEY, LATER, POLICY) is None
    (tenant,), (credential,) = await rows(database, TENANT), await rows(database, CREDENTIAL)
    assert tenant["paused"] == {"reference": "ticket 4711", "since": "2026-05-02", "by": "Dana"}
    assert (tenant["status"], tenant["severity"], tenant["status_since"]) == ("paused", 5, LATER)
    assert (credential["state"], credential["missing"], credential["removed_at"]) == ("ok", 1, None)
    assert [row["resolved_at"] for row in await rows(database, INCIDENT)] == [None]


async def test_a_resumed_tenant_is_checked_at_once_and_in_full(database: Database) -> None:
    """What is found then is compared with what was known before the pause."""
    await sync(database, a_tenant("acme"))
    await check(database, served({"jobs": "g"}))
    await check(database, served({"jobs": "m"}), T0 + MINUTE)  # a suspicion: the next check would ask about it alone
    await sync(database, a_tenant("acme", paused=WHY), now=LATER)
    await sync(database, a_tenant("acme"), now=MUCH_LATER)
    assert await _due(database) == Due([1], [])
    assert (await claim(database, now=MUCH_LATER)).suspicion.only(KEY, DIGEST) is None
    assert (await rows(database, TENANT))[0]["status"] == "healthy"
    for minute in range(2):
        await check(database, served({"jobs": "m"}), MUCH_LATER + minute * MINUTE)
    assert [row["kind"] for row in await rows(database, DRIFT_EVENT)] == ["lost"]


async def test_a_paused_tenant_stays_unchecked_whatever_changes_in_its_row(database: Database) -> None:
    """Another secret, another credential, a tenant that is new or was away, and a row that cannot be read."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    await check(database, served({"jobs": "g"}), credential_id=1)
    await sync(database, a_tenant("acme", paused=WHY), a_tenant("initech", paused=WHY))
    await sync(database, a_tenant("acme", "Gem", "New", reference="env:OTHER", paused=WHY))
    await sync(database, a_tenant("acme", paused=WHY), a_tenant("globex", paused=WHY), a_tenant("initech", paused=WHY))
    await sync(database, problems=[TenantProblem(name, 3, "no name") for name in ("acme", "globex", "initech")])
    assert await _due(database) == Due([], [])
    assert {row["status"] for row in await rows(database, TENANT)} == {"paused"}
    assert {row["state"] for row in await rows(database, CREDENTIAL)} == {"ok"}
    assert (await rows(database, DRIFT_EVENT), await rows(database, INCIDENT)) == ([], [])
    await sync(database, *map(a_tenant, ("acme", "globex", "initech")), now=LATER)
    active = [row for row in await rows(database, CREDENTIAL) if row["removed_at"] is None]
    assert [row["next_due"] for row in active] == [LATER] * 3


async def test_nothing_is_sent_about_a_paused_tenant(database: Database) -> None:
    """A notice that was to be written waits for the tenant's return, and then for its next check."""
    await sync(database, a_tenant("acme"), a_tenant("globex"))
    for credential_id in (1, 2):
        await check(database, served({"jobs": "g"}), T0, credential_id=credential_id)
        for minute in (1, 2):
            report = failed(CredentialState.INVALID)
            await check(database, report, T0 + minute * MINUTE, credential_id=credential_id)
    await sync(database, a_tenant("acme", paused=WHY), a_tenant("globex"), now=T0 + 3 * MINUTE)
    await check(database, failed(CredentialState.INVALID), LATER, credential_id=2)
    await Composer(database, NOTICES, Renderer()).run_once(LATER + MINUTE)
    assert {row["tenant_id"] for row in await rows(database, NOTICE)} == {"globex"}
    await sync(database, a_tenant("acme"), a_tenant("globex"), now=MUCH_LATER)
    waiting = [row for row in await rows(database, CAUSE) if row["settled_at"] is None]
    assert [(row["tenant_id"], row["created_at"]) for row in waiting] == [("acme", MUCH_LATER)]
