"""A client for each required scope that lacks only that one: over HTTP, database and incidents, at the sandbox."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from checks.catalogue.scopes import known as known_scopes
from checks.catalogue.scopes import scope
from checks.manifest import Permission, load
from checks.report import Verdict
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind, Known
from monitor.incidents import known_queries
from monitor.incidents.history_queries import Wanted, events
from monitor.sandbox.greenhouse.accounts import ClientGrant
from monitor.store.database import Database
from monitor.store.tables import CHECK, CREDENTIAL, INCIDENT
from tests.installation import Installation, installation

GEM = load("gem")
EVERYBODY = "everything"


def required(features: list[str]) -> list[str]:
    return sorted({name for permission in GEM.applying_to(features) for name in permission.scopes})


def tenant_of(name: str) -> str:
    return name.replace(":", ".")


@dataclass(frozen=True)
class ClientCase:
    """How Greenhouse's auth server answers, and which clients the customers created: `settings` are the sandbox's."""

    name: str
    grant: ClientGrant = "custom"
    mint: bool = False
    eeoc: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        return ["eeoc"] if self.eeoc else []

    @property
    def names_scopes(self) -> bool:
        """Whether introspection names the scopes."""
        return self.settings.get("introspected_scope") != "absent"

    @property
    def names_organization(self) -> bool:
        return self.settings.get("introspected_claims") != "absent"

    @property
    def scopes(self) -> list[str]:
        return required(self.features)

    def requests(self, lost: str | None = None) -> int:
        """Of a check: introspection and one list, or every list of the manifest; and the new token before them.

        A list that is said to be missing is asked for as well, and one that was read before and is refused again.
        """
        again = lost is not None and scope(lost).list is not None
        if not self.names_scopes:
            return 1 + self.mint + again + sum(scope(name).list is not None for name in self.scopes)
        return 2 + self.mint + again

    def expected(self, lost: str | None, asked: Permission) -> tuple[Verdict | None, Verdict | None]:
        """The verdict on a permission for a client that lacks one scope; if there is none, what it is undecided as."""
        unknowable = not self.names_scopes and any(scope(name).list is None for name in asked.scopes)
        seen = self.names_scopes or (lost is not None and scope(lost).list is not None)
        if lost in asked.scopes and seen:
            return Verdict.MISSING, None
        return (None, Verdict.NOT_CHECKABLE) if unknowable or not asked.scopes else (Verdict.GRANTED, None)


SHAPES: list[dict[str, Any]] = [
    {"introspected_scope": "list", "introspected_claims": "flat"},
    {"introspected_scope": "string", "introspected_claims": "absent"},
    {"introspected_scope": "absent"},
]
CASES = [
    ClientCase("a held token"),
    ClientCase("with EEOC", eeoc=True, settings=SHAPES[0]),
    ClientCase("a partner's client", grant="partner", settings=SHAPES[1]),
    ClientCase("a partner's client whose scopes are not named", grant="partner", eeoc=True, settings=SHAPES[2]),
    ClientCase("a new token each time", mint=True, settings={"expiry": "expires_in"}),
    ClientCase("a new token that names its expiry twice", mint=True, eeoc=True, settings={"expiry": "both"}),
    ClientCase("a new token without an expiry", mint=True, settings={"expiry": "none"}),
]
REPAIRED = [CASES[1], CASES[4]]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


async def set_up(installed: Installation, case: ClientCase) -> None:
    """Adds every tenant with all scopes that it needs."""
    word = "gem+eeoc" if case.eeoc else "gem"
    for name in case.scopes:
        installed.add_v3_tenant(tenant_of(name), word, mint=case.mint, grant=case.grant, features=case.features)
        if not case.names_organization:
            del installed.rows[tenant_of(name)]["credential"]["organization"]
    await installed.sync()


def untick(installed: Installation, case: ClientCase) -> None:
    """Each client loses the scope after which its tenant is named."""
    for name in case.scopes:
        installed.sandbox.client(tenant_of(name)).untick(name)


async def known_states(installed: Installation) -> dict[str, Known]:
    async with installed.db.reading() as conn:
        rows = await conn.execute(select(CREDENTIAL.c.tenant_id, CREDENTIAL.c.id))
        return {tenant: await known_queries.load(conn, number) for tenant, number in rows.all()}


async def costs(installed: Installation) -> dict[str, set[int]]:
    async with installed.db.reading() as conn:
        found: dict[str, set[int]] = {}
        for tenant, requests in (await conn.execute(select(CHECK.c.tenant_id, CHECK.c.requests))).all():
            found.setdefault(tenant, set()).add(requests)
        return found


async def count_open(installed: Installation) -> int:
    async with installed.db.reading() as conn:
        found = await conn.execute(select(func.count()).where(INCIDENT.c.resolved_at.is_(None)))
        return int(found.scalar_one())


@each_case
async def test_the_permissions_of_one_lost_scope_are_missing_and_no_others(
    case: ClientCase, sqlite: Database, tmp_path: Path
) -> None:
    """Right for every permission of the manifest and every client, at the cost of two or three requests, and to mint.

    Where nobody names the scopes, a list is lost only where it was read before.
    """
    async with installation(sqlite, tmp_path, sandbox_settings=case.settings) as installed:
        await set_up(installed, case)
        if not case.names_scopes:
            await installed.check_due()
            installed.clock.forward(hours=4)
        untick(installed, case)
        await installed.check_due()
        await installed.confirm()
        seen, cost = await known_states(installed), await costs(installed)
        assert installed.sandbox.request_log.change_count == 0
    assert len(seen) == (38 if case.eeoc else 37)
    before = set() if case.names_scopes else {case.requests()}
    assert cost == {tenant_of(name): {case.requests(name)} | before for name in case.scopes}
    if case.names_scopes:
        assert case.requests() == (3 if case.mint else 2)
    for lost in case.scopes:
        found = seen[tenant_of(lost)]
        assert set(found.permissions) == {p.id for p in GEM.applying_to(case.features)} | {ROLE_ID}
        for asked in GEM.applying_to(case.features):
            known = found.permissions[asked.id]
            assert (known.verdict, known.undecided_as) == case.expected(lost, asked), (lost, asked.id)
            assert not known.suspect
        role = Verdict.GRANTED if case.names_organization else None
        assert found.permissions[ROLE_ID].verdict is role
        assert found.excess == {}


@pytest.mark.parametrize("case", REPAIRED, ids=lambda case: case.name)
async def test_each_loss_opens_an_incident_and_each_repair_closes_it(
    case: ClientCase, sqlite: Database, tmp_path: Path
) -> None:
    """Healthy, then each loses one scope, then it is ticked again: a held token has it only after it was renewed."""
    async with installation(sqlite, tmp_path, sandbox_settings=case.settings) as installed:
        await set_up(installed, case)
        await installed.check_due()
        assert await count_open(installed) == 0
        untick(installed, case)
        if not case.mint:
            for name in case.scopes:
                installed.issue_token(tenant_of(name))
        await installed.sweep()
        assert await count_open(installed) == len(case.scopes)
        for name in case.scopes:
            installed.sandbox.client(tenant_of(name)).tick(name)
        if not case.mint:
            await installed.sweep()
            assert await count_open(installed) == len(case.scopes), "a token that was issued before is no repair"
            for name in case.scopes:
                installed.issue_token(tenant_of(name))
        await installed.sweep()
        assert await count_open(installed) == 0
        assert installed.sandbox.request_log.change_count == 0
        async with installed.db.reading() as conn:
            recorded = await events(conn, Wanted())
    seen = [(event.tenant_id, event.kind, event.permission_id) for event in recorded]
    changed = [(tenant_of(name), p.id) for p in GEM.applying_to(case.features) for name in p.scopes]
    assert sorted(seen) == sorted(
        (tenant, kind, permission) for tenant, permission in changed for kind in (EventKind.LOST, EventKind.REGAINED)
    )


@pytest.mark.parametrize("mint", [False, True], ids=["held", "minted"])
async def test_a_client_with_every_scope_shows_exactly_those_beyond_the_manifest(
    mint: bool, sqlite: Database, tmp_path: Path
) -> None:
    """All 163 but the 37 that Gem requires, each certain; and nothing is missing."""
    async with installation(sqlite, tmp_path) as installed:
        installed.add_v3_tenant(EVERYBODY, "all", mint=mint)
        await installed.sync()
        await installed.check_due()
        seen = (await known_states(installed))[EVERYBODY]
        assert await count_open(installed) == 0
        assert installed.sandbox.request_log.change_count == 0
    assert set(seen.excess) == set(known_scopes()) - set(required([]))
    assert len(seen.excess) == 163 - 37
    assert all(excess.certain for excess in seen.excess.values())
    assert {known.verdict for known in seen.permissions.values()} <= {Verdict.GRANTED, None}
