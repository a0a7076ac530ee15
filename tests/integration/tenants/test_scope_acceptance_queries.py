"""Who is notified about customers on Harvest v3, before and after the derived scopes were accepted."""

from dataclasses import replace

import pytest

from checks.credential import CredentialKind, CredentialState
from checks.manifest import load
from checks.report import CheckReport
from monitor.incidents.rules import Step
from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.store.database import Database
from monitor.store.tables import CAUSE, NOTICE, OPERATOR_ACTION
from monitor.tenants.file import CredentialConfig, Grant, OAuthConfig, TenantConfig
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.scope_acceptance_queries import accept, is_accepted
from tests.notices import a_policy
from tests.reports import HOUR, failed, served
from tests.store import T0, a_tenant, check, claim, rows, sync

GEM = load("gem")


def on_v3(tenant_id: str, grant: Grant = Grant.CUSTOM) -> TenantConfig:
    oauth = OAuthConfig("env:ID", "file:/run/token", grant, organization="4242")
    credential = CredentialConfig("Gem", CredentialKind.HARVEST_OAUTH, "env:SECRET", None, oauth)
    return replace(a_tenant(tenant_id), credentials=(credential,), row_digest=f"v3-{tenant_id}-{grant}")


def derived(report: CheckReport) -> CheckReport:
    return replace(report, provisional=True, manifest_digest=GEM.digest)


async def accepted(database: Database, digest: str = GEM.digest) -> bool:
    async with database.writing() as conn:
        return await accept(conn, replace(GEM, version="other") if digest != GEM.digest else GEM, "op", "ours", T0)


async def audiences(database: Database) -> list[str]:
    return [row["audience"] for row in await rows(database, CAUSE)]


async def lose(database: Database, now: int = 0) -> None:
    for hour, verdict in enumerate("gmm"):
        await check(database, derived(served({"jobs": verdict})), T0 + (now + hour) * HOUR)


async def test_scopes_of_a_derived_list_are_reported_to_the_operator(database: Database) -> None:
    """Lost, failed and regained: no CSM is notified."""
    await sync(database, on_v3("acme"))
    await lose(database)
    await check(database, derived(served({"jobs": "g"})), T0 + 3 * HOUR)
    for hour in (4, 5):
        await check(database, derived(failed(CredentialState.INVALID)), T0 + hour * HOUR)
    assert await audiences(database) == ["operator"] * 3


async def test_once_a_list_is_accepted_the_csm_is_notified(database: Database) -> None:
    """Acceptance is by digest; who and why is recorded, and a second time changes nothing."""
    await sync(database, on_v3("acme"))
    assert await accepted(database)
    assert not await accepted(database)
    await lose(database)
    assert await audiences(database) == ["csm"]
    (action,) = await rows(database, OPERATOR_ACTION)
    assert (action["action"], action["subject"], action["reason"]) == ("manifest accept-v3", GEM.digest, "ours")
    async with database.reading() as conn:
        assert not await is_accepted(conn, "another-digest")


@pytest.mark.parametrize(("grant", "reader"), [(Grant.CUSTOM, "csm"), (Grant.PARTNER, "operator")])
async def test_a_refused_client_is_reported_to_who_can_fix_it(database: Database, grant: Grant, reader: str) -> None:
    """A custom client belongs to the customer; the partner's client is the vendor's own, for all customers."""
    await sync(database, on_v3("acme", grant))
    await accepted(database)
    await check(database, derived(served({"jobs": "g"})))
    for hour in (1, 2):
        await check(database, derived(failed(CredentialState.INVALID)), T0 + hour * HOUR)
    await check(database, derived(served({"jobs": "g"})), T0 + 3 * HOUR)
    assert await audiences(database) == [reader] * 2


async def test_a_published_list_needs_no_acceptance(database: Database) -> None:
    await sync(database, on_v3("acme"))
    for hour, verdict in enumerate("gmm"):
        await check(database, served({"jobs": verdict}), T0 + hour * HOUR)
    assert await audiences(database) == ["csm"]


async def test_a_claim_has_everything_needed_to_use_a_client(database: Database) -> None:
    """References and numbers as in the tenants file; a change of one of them is checked at once."""
    await sync(database, on_v3("acme", Grant.PARTNER))
    taken = await claim(database)
    assert taken.config == on_v3("acme", Grant.PARTNER).credentials[0]
    await sync(database, on_v3("acme", Grant.CUSTOM), now=T0 + HOUR)
    assert (await claim(database, now=T0 + HOUR)).config.oauth == on_v3("acme").credentials[0].oauth


@pytest.mark.parametrize(
    ("grant", "words"), [(Grant.CUSTOM, "Manage scopes"), (Grant.PARTNER, "connect our integration")]
)
async def test_the_email_asks_for_what_fits_the_grant(database: Database, grant: Grant, words: str) -> None:
    """A custom credential's scopes are ticked by Greenhouse's titles; a partner's client is connected again."""
    await sync(database, on_v3("acme", grant))
    await accepted(database)
    job = GEM.permission("GET: List jobs")
    for hour, verdict in enumerate("gmm"):
        await check(database, derived(served({job.id: verdict})), T0 + hour * HOUR)
    registry = ManifestRegistry(GEM)
    await Composer(database, a_policy(), Renderer(), scopes=lambda: registry.scopes).run_once(T0 + 3 * HOUR)
    (notice,) = await rows(database, NOTICE)
    for text in (notice["text"], notice["html"]):
        assert words in text
        assert "List jobs" in text
        assert "Manage Permissions" not in text
    assert ("Site Admin" in notice["text"]) == (grant is Grant.PARTNER)
    assert "[ ] List jobs" in notice["text"]


async def test_what_every_partner_tenant_lacks_is_reported_to_the_operator(
    database: Database,
) -> None:
    """No customer can restore it; everybody notified of the loss is notified of the recovery."""
    await sync(database, *(on_v3(name, Grant.PARTNER) for name in ("acme", "globex")))
    await accepted(database)
    composer = Composer(database, a_policy(), Renderer())
    for hour, verdict in enumerate("gmm"):
        for credential_id in (1, 2):
            report = derived(served({"jobs": verdict}))
            await check(database, report, T0 + hour * HOUR, credential_id=credential_id)
    await composer.run_once(T0 + 4 * HOUR)
    for credential_id in (1, 2):
        await check(database, derived(served({"jobs": "g"})), T0 + 5 * HOUR, credential_id=credential_id)
    await composer.run_once(T0 + 7 * HOUR)
    told = await rows(database, NOTICE)
    assert [notice["audience"] for notice in told] == ["operator", "operator"]
    assert "Greenhouse's partner support" in told[0]["text"]


async def test_a_permission_that_others_were_not_checked_for_is_reported_to_the_csm(database: Database) -> None:
    """A tenant without a verdict on it, for example without the feature, does not lack it."""
    await sync(database, *(on_v3(name, Grant.PARTNER) for name in ("acme", "globex")))
    await accepted(database)
    for hour, verdict in enumerate("gmm"):
        await check(database, derived(served({"jobs": verdict})), T0 + hour * HOUR)
        await check(database, derived(served({"offers": "g"})), T0 + hour * HOUR, credential_id=2)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 4 * HOUR)
    assert [notice["audience"] for notice in await rows(database, NOTICE)] == ["csm"]


@pytest.mark.parametrize("first", ["csm", "operator"])
async def test_the_end_of_a_loss_is_reported_to_who_was_told_of_the_loss(database: Database, first: str) -> None:
    """Also if the list was accepted after the loss, or if a new list is not accepted yet."""
    await sync(database, on_v3("acme"))
    composer = Composer(database, a_policy(), Renderer())
    if first == "csm":
        await accepted(database)
    await lose(database)
    await composer.run_once(T0 + 4 * HOUR)
    back = derived(served({"jobs": "g"}))
    if first == "operator":
        await accepted(database)
    else:
        back = replace(back, manifest_digest="another-list")
    await check(database, back, T0 + 5 * HOUR)
    await composer.run_once(T0 + 7 * HOUR)
    told = await rows(database, NOTICE)
    assert [notice["audience"] for notice in told] == [first, first]
    assert ("back" if first == "csm" else "no longer missing") in told[1]["text"]


async def test_lost_and_regained_within_the_settle_time_notifies_nobody(database: Database) -> None:
    """Also if the list was accepted in between."""
    await sync(database, on_v3("acme"))
    await lose(database)
    await accepted(database)
    await check(database, derived(served({"jobs": "g"})), T0 + 3 * HOUR)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 5 * HOUR)
    assert await rows(database, NOTICE) == []


async def test_a_permission_without_a_scope_any_more_keeps_no_incident_open(database: Database) -> None:
    """It could never be regained."""
    await sync(database, on_v3("acme"))
    await lose(database)
    report = derived(served({"jobs": "n"}))
    report = replace(report, findings=tuple(replace(f, reason="no_scope") for f in report.findings))
    recorded = await check(database, report, T0 + 4 * HOUR)
    assert recorded.incident is Step.RESOLVE


async def test_no_scopes_at_all_has_its_own_wording(database: Database) -> None:
    """Nobody is asked to check whether the credential still exists."""
    await sync(database, on_v3("acme"))
    await accepted(database)
    await check(database, derived(served({"jobs": "g"})))
    for hour in (1, 2):
        await check(database, replace(derived(failed(CredentialState.INVALID)), detail="no_scopes"), T0 + hour * HOUR)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 4 * HOUR)
    (notice,) = await rows(database, NOTICE)
    for text in (notice["text"], notice["html"]):
        assert "has no scopes left" in text
        assert "Manage scopes" in text
        assert "revoked" not in text


async def test_a_claim_says_what_lists_and_what_scopes_showed(database: Database) -> None:
    """Missing permissions as well; a check of v3 rests on them."""
    await sync(database, on_v3("acme"))
    report = served({"jobs": "g", "offers": "g", "users": "m"})
    rules = {"jobs": "S3", "offers": "S1", "users": "S14"}
    findings = tuple(replace(found, rule=rules[found.permission_id]) for found in report.findings)
    for hour in range(2):
        await check(database, replace(report, findings=findings), T0 + hour * HOUR)
    known = (await claim(database, now=T0 + 2 * HOUR)).suspicion
    assert (known.granted, known.granted_by_list, known.missing) == ({"jobs", "offers"}, {"jobs"}, {"users"})
