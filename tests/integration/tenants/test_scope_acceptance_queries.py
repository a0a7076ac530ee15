"""CSMs of customers on Harvest v3: who is written to, before and after the derived scopes were accepted."""

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


async def test_what_a_derived_list_asks_for_goes_to_the_operator(database: Database) -> None:
    """Lost, failed and back: no CSM hears of it."""
    await sync(database, on_v3("acme"))
    await lose(database)
    await check(database, derived(served({"jobs": "g"})), T0 + 3 * HOUR)
    for hour in (4, 5):
        await check(database, derived(failed(CredentialState.INVALID)), T0 + hour * HOUR)
    assert await audiences(database) == ["operator"] * 3


async def test_once_it_is_accepted_the_csm_is_asked(database: Database) -> None:
    """By digest: who and why is kept, and a second time changes nothing."""
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
async def test_a_client_that_is_refused_is_the_matter_of_whoever_made_it(
    database: Database, grant: Grant, reader: str
) -> None:
    """A custom one is the customer's; the partner's client is the vendor's own, for all customers."""
    await sync(database, on_v3("acme", grant))
    await accepted(database)
    for hour in range(2):
        await check(database, derived(failed(CredentialState.INVALID)), T0 + hour * HOUR)
    await check(database, derived(served({"jobs": "g"})), T0 + 2 * HOUR)
    assert await audiences(database) == [reader] * 2


async def test_a_published_list_needs_no_acceptance(database: Database) -> None:
    await sync(database, on_v3("acme"))
    for hour, verdict in enumerate("gmm"):
        await check(database, served({"jobs": verdict}), T0 + hour * HOUR)
    assert await audiences(database) == ["csm"]


async def test_a_claim_of_a_client_holds_all_that_opens_it(database: Database) -> None:
    """References and numbers as the tenants file has them; a change of one of them is looked at at once."""
    await sync(database, on_v3("acme", Grant.PARTNER))
    taken = await claim(database)
    assert taken.config == on_v3("acme", Grant.PARTNER).credentials[0]
    await sync(database, on_v3("acme", Grant.CUSTOM), now=T0 + HOUR)
    assert (await claim(database, now=T0 + HOUR)).config.oauth == on_v3("acme").credentials[0].oauth


@pytest.mark.parametrize(
    ("grant", "words"), [(Grant.CUSTOM, "Manage scopes"), (Grant.PARTNER, "connect our integration")]
)
async def test_the_mail_says_what_helps_for_the_way_it_was_given(database: Database, grant: Grant, words: str) -> None:
    """A custom credential's scopes are ticked by Greenhouse's titles; a partner's client is connected again."""
    await sync(database, on_v3("acme", grant))
    await accepted(database)
    job = GEM.permission("GET: List jobs")
    for hour, verdict in enumerate("gmm"):
        await check(database, derived(served({job.id: verdict})), T0 + hour * HOUR)
    scopes = ManifestRegistry(GEM).scopes
    await Composer(database, a_policy(), Renderer(), scopes=scopes).run_once(T0 + 9 * HOUR)
    (notice,) = await rows(database, NOTICE)
    for text in (notice["text"], notice["html"]):
        assert words in text
        assert "List jobs" in text
        assert "Manage Permissions" not in text
    assert ("Site Admin" in notice["text"]) == (grant is Grant.PARTNER)
    assert "[ ] List jobs" in notice["text"]


async def test_what_every_partner_tenant_lacks_is_told_to_the_operator_and_so_is_its_end(database: Database) -> None:
    """No customer can give it back; whoever heard of the beginning hears of the end."""
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


async def test_a_permission_that_others_were_never_asked_for_is_the_customers_own(database: Database) -> None:
    """Who was not judged on it, as without the feature, does not lack it."""
    await sync(database, *(on_v3(name, Grant.PARTNER) for name in ("acme", "globex")))
    await accepted(database)
    for hour, verdict in enumerate("gmm"):
        await check(database, derived(served({"jobs": verdict})), T0 + hour * HOUR)
        await check(database, derived(served({"offers": "g"})), T0 + hour * HOUR, credential_id=2)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 4 * HOUR)
    assert [notice["audience"] for notice in await rows(database, NOTICE)] == ["csm"]


@pytest.mark.parametrize("first", ["csm", "operator"])
async def test_who_heard_of_a_loss_hears_of_its_end_whatever_was_accepted_since(database: Database, first: str) -> None:
    """Accepted after the loss, or a new list that nobody has accepted yet: the end goes where the beginning went."""
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
    assert "back" in told[1]["text"].lower()


async def test_lost_and_back_within_the_settle_time_is_told_to_nobody(database: Database) -> None:
    """Also where the list was accepted in between."""
    await sync(database, on_v3("acme"))
    await lose(database)
    await accepted(database)
    await check(database, derived(served({"jobs": "g"})), T0 + 3 * HOUR)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 5 * HOUR)
    assert await rows(database, NOTICE) == []


async def test_what_a_manifest_has_no_scope_for_any_more_keeps_no_incident_open(database: Database) -> None:
    """Its absence could never end."""
    await sync(database, on_v3("acme"))
    await lose(database)
    report = derived(served({"jobs": "n"}))
    report = replace(report, findings=tuple(replace(f, reason="no_scope") for f in report.findings))
    recorded = await check(database, report, T0 + 4 * HOUR)
    assert recorded.incident is Step.RESOLVE


async def test_no_scopes_at_all_is_asked_for_in_words_of_its_own(database: Database) -> None:
    """Nobody is sent to look whether the credential is still there."""
    await sync(database, on_v3("acme"))
    await accepted(database)
    await check(database, derived(served({"jobs": "g"})))
    for hour in (1, 2):
        await check(database, replace(derived(failed(CredentialState.INVALID)), detail="no_scopes"), T0 + hour * HOUR)
    await Composer(database, a_policy(), Renderer()).run_once(T0 + 4 * HOUR)
    (notice,) = await rows(database, NOTICE)
    for text in (notice["text"], notice["html"]):
        assert "no longer has any scopes" in text
        assert "Manage scopes" in text
        assert "revoked" not in text
