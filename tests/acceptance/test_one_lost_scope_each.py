"""A client for each required scope, lacking just that one, through wire, database and incidents, at the sandbox."""

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
class World:
    """How Greenhouse's auth server speaks, and what the customers made: `settings` are the sandbox's."""

    name: str
    grant: ClientGrant = "custom"
    mint: bool = False
    eeoc: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        return ["eeoc"] if self.eeoc else []

    @property
    def told(self) -> bool:
        """Introspection names the scopes."""
        return self.settings.get("introspected_scope") != "absent"

    @property
    def organization_told(self) -> bool:
        return self.settings.get("introspected_claims") != "absent"

    @property
    def scopes(self) -> list[str]:
        return required(self.features)

    def requests(self, lost: str | None = None) -> int:
        """Of a check: introspection and one list, or every list of the manifest; and the new token before them.

        A list that is said to be missing is asked for as well, and one that was read before and is refused again.
        """
        again = lost is not None and scope(lost).list is not None
        if not self.told:
            return 1 + self.mint + again + sum(scope(name).list is not None for name in self.scopes)
        return 2 + self.mint + again

    def expected(self, lost: str | None, asked: Permission) -> tuple[Verdict | None, Verdict | None]:
        """What is known of a permission by a client that lacks one scope, and why it is not, where it is not."""
        unknowable = not self.told and any(scope(name).list is None for name in asked.scopes)
        seen = self.told or (lost is not None and scope(lost).list is not None)
        if lost in asked.scopes and seen:
            return Verdict.MISSING, None
        return (None, Verdict.NOT_CHECKABLE) if unknowable or not asked.scopes else (Verdict.GRANTED, None)


SHAPES: list[dict[str, Any]] = [
    {"introspected_scope": "list", "introspected_claims": "flat"},
    {"introspected_scope": "string", "introspected_claims": "absent"},
    {"introspected_scope": "absent"},
]
WORLDS = [
    World("a held token"),
    World("with EEOC", eeoc=True, settings=SHAPES[0]),
    World("a partner's client", grant="partner", settings=SHAPES[1]),
    World("a partner's client whose scopes nobody names", grant="partner", eeoc=True, settings=SHAPES[2]),
    World("a new token each time", mint=True, settings={"expiry": "expires_in"}),
    World("a new token that says its end twice", mint=True, eeoc=True, settings={"expiry": "both"}),
    World("a new token without an end", mint=True, settings={"expiry": "none"}),
]
HEALED = [WORLDS[1], WORLDS[4]]
each_world = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)


async def enter(installed: Installation, world: World) -> None:
    """Every tenant with all that it needs."""
    word = "gem+eeoc" if world.eeoc else "gem"
    for name in world.scopes:
        installed.v3_customer(tenant_of(name), word, mint=world.mint, grant=world.grant, features=world.features)
        if not world.organization_told:
            del installed.rows[tenant_of(name)]["credential"]["organization"]
    await installed.sync()


def untick(installed: Installation, world: World) -> None:
    """Each loses the scope that it is called by; what it holds is taken to be as old as the loss."""
    for name in world.scopes:
        installed.sandbox.client(tenant_of(name)).untick(name)


async def standings(installed: Installation) -> dict[str, Known]:
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


@each_world
async def test_the_permissions_of_one_lost_scope_are_missing_and_no_others(
    world: World, sqlite: Database, tmp_path: Path
) -> None:
    """Right for every permission of the manifest and every client, at the cost of two or three requests, and to mint.

    Where nobody names the scopes, a list is lost only where it was read before.
    """
    async with installation(sqlite, tmp_path, sandbox_settings=world.settings) as installed:
        await enter(installed, world)
        if not world.told:
            await installed.check_due()
            installed.clock.forward(hours=4)
        untick(installed, world)
        await installed.check_due()
        await installed.confirm()
        seen, cost = await standings(installed), await costs(installed)
        assert installed.sandbox.request_log.change_count == 0
    assert len(seen) == (38 if world.eeoc else 37)
    before = set() if world.told else {world.requests()}
    assert cost == {tenant_of(name): {world.requests(name)} | before for name in world.scopes}
    if world.told:
        assert world.requests() == (3 if world.mint else 2)
    for lost in world.scopes:
        found = seen[tenant_of(lost)]
        assert set(found.permissions) == {p.id for p in GEM.applying_to(world.features)} | {ROLE_ID}
        for asked in GEM.applying_to(world.features):
            standing = found.permissions[asked.id]
            assert (standing.verdict, standing.undecided_as) == world.expected(lost, asked), (lost, asked.id)
            assert not standing.suspect
        role = Verdict.GRANTED if world.told and world.organization_told else None
        assert found.permissions[ROLE_ID].verdict is role
        assert found.excess == {}


@pytest.mark.parametrize("world", HEALED, ids=lambda world: world.name)
async def test_each_loss_opens_an_incident_and_each_repair_closes_it(
    world: World, sqlite: Database, tmp_path: Path
) -> None:
    """Healthy, then one scope lost by each, then ticked again: a held token gains nothing before the next one comes."""
    async with installation(sqlite, tmp_path, sandbox_settings=world.settings) as installed:
        await enter(installed, world)
        await installed.check_due()
        assert await count_open(installed) == 0
        untick(installed, world)
        if not world.mint:
            for name in world.scopes:
                installed.issue(tenant_of(name))
        await installed.sweep()
        assert await count_open(installed) == len(world.scopes)
        for name in world.scopes:
            installed.sandbox.client(tenant_of(name)).tick(name)
        if not world.mint:
            await installed.sweep()
            assert await count_open(installed) == len(world.scopes), "a token that was issued before is no repair"
            for name in world.scopes:
                installed.issue(tenant_of(name))
        await installed.sweep()
        assert await count_open(installed) == 0
        assert installed.sandbox.request_log.change_count == 0
        async with installed.db.reading() as conn:
            recorded = await events(conn, Wanted())
    told = [(event.tenant_id, event.kind, event.permission_id) for event in recorded]
    turned = [(tenant_of(name), p.id) for p in GEM.applying_to(world.features) for name in p.scopes]
    assert sorted(told) == sorted(
        (tenant, kind, permission) for tenant, permission in turned for kind in (EventKind.LOST, EventKind.REGAINED)
    )


@pytest.mark.parametrize("mint", [False, True], ids=["held", "minted"])
async def test_a_client_with_every_scope_shows_exactly_those_beyond_the_manifest(
    mint: bool, sqlite: Database, tmp_path: Path
) -> None:
    """163 less the 37 that Gem asks for, each certain; and nothing is missing."""
    async with installation(sqlite, tmp_path) as installed:
        installed.v3_customer(EVERYBODY, "all", mint=mint)
        await installed.sync()
        await installed.check_due()
        seen = (await standings(installed))[EVERYBODY]
        assert await count_open(installed) == 0
        assert installed.sandbox.request_log.change_count == 0
    assert set(seen.excess) == set(known_scopes()) - set(required([]))
    assert len(seen.excess) == 163 - 37
    assert all(standing.certain for standing in seen.excess.values())
    assert {standing.verdict for standing in seen.permissions.values()} <= {Verdict.GRANTED, None}
