"""Tenants of which each lacks exactly one permission: over HTTP, database and incidents, against the sandbox.

All 64 where verdicts are judged in the plain case. Elsewhere one of each kind of request, as the kind is what decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Cell, Entry, RequestClass, Service
from checks.manifest import Permission, load
from checks.report import Verdict
from monitor.drift import EventKind, KnownPermission
from monitor.incidents import known_queries
from monitor.incidents.history_queries import Wanted, events
from monitor.store.database import Database
from monitor.store.tables import CREDENTIAL, INCIDENT
from tests.installation import LABEL, Installation, installation

GEM = load("gem")
ASKED = [p for p in GEM.permissions if p.endpoint]
READS = {RequestClass.BY_ID, RequestClass.NESTED}


def tenant_of(permission: Permission) -> str:
    return permission.id.replace(".", "-")


@dataclass(frozen=True)
class GreenhouseCase:
    """How Greenhouse behaves, and which keys the customers created: only Gem's permissions, or every permission."""

    name: str
    full_keys: bool = False
    eeoc: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    lookup_first: Callable[[Cell], bool] = lambda cell: False
    every_permission: bool = False

    def lost(self) -> list[Permission]:
        """What the tenants lack, one each."""
        applying = self.applying()
        if self.every_permission:
            return applying
        return list({_kind_of_request(permission): permission for permission in applying}.values())

    def applying(self) -> list[Permission]:
        return [p for p in ASKED if self.eeoc or p.feature is None]

    @property
    def sandbox_settings(self) -> dict[str, Any]:
        cells = {entry.cell for entry in catalogue().all_entries()}
        orders = {f"{c.request_class}/{c.service}": "lookup_first" for c in cells if self.lookup_first(c)}
        return {**self.settings, "orders": orders}

    def expected(self, lost: Permission, asked: Permission) -> Verdict | None:
        """The verdict on `asked` for a tenant who lacks only `lost`; None if it must stay undecided."""
        entry, gap = catalogue().entry(asked.endpoint or ""), catalogue().entry(lost.endpoint or "")
        if entry.request_class is RequestClass.LIST:
            return Verdict.MISSING if asked is lost else Verdict.GRANTED
        if self.lookup_first(entry.cell):
            return None
        if asked is lost:
            return Verdict.MISSING
        return Verdict.GRANTED if self._order_shows(entry, gap) else None

    def _order_shows(self, entry: Entry, gap: Entry) -> bool:
        """Whether something in the cell is refused: the lost permission, or a control that the key does not have."""
        # A request without an id in its path fails no lookup, so its refusal shows nothing about one; and a list under
        # a record shows nothing about a single one.
        same_kind = gap.cell == entry.cell and gap.gives_list == entry.gives_list
        if same_kind and ("/0" in gap.target or "/0" not in entry.target):
            return True
        if catalogue().controls_of(entry.cell):
            return not self.full_keys
        neighbours = [Cell(entry.request_class, Service.REST), Cell(RequestClass.NESTED, entry.service)]
        return not self.full_keys and not any(map(self.lookup_first, neighbours))


def _kind_of_request(permission: Permission) -> tuple[object, ...]:
    """All that `GreenhouseCase.expected` knows of a request, and the feature."""
    entry = catalogue().entry(permission.endpoint or "")
    return entry.cell, entry.gives_list, "/0" in entry.target, permission.feature


CASES = [
    GreenhouseCase("least privilege", every_permission=True),
    GreenhouseCase(
        "least privilege, denied with 401 in the other shape", settings={"denial_status": 401, "denial_shape": "errors"}
    ),
    GreenhouseCase("least privilege without EEOC", eeoc=False),
    GreenhouseCase("full keys", full_keys=True),
    GreenhouseCase("full keys, denied with 401, no EEOC", full_keys=True, eeoc=False, settings={"denial_status": 401}),
    GreenhouseCase("records looked up first everywhere", lookup_first=lambda cell: True),
    GreenhouseCase("records looked up first on writes", lookup_first=lambda cell: cell.request_class not in READS),
    GreenhouseCase(
        "records looked up first by id and in nested reads", lookup_first=lambda cell: cell.request_class in READS
    ),
    GreenhouseCase(
        "records looked up first for applications", lookup_first=lambda cell: cell.service is Service.APPLICATIONS
    ),
]


async def known_states(installed: Installation) -> dict[str, dict[str, KnownPermission]]:
    async with installed.db.reading() as conn:
        rows = await conn.execute(select(CREDENTIAL.c.tenant_id, CREDENTIAL.c.id))
        return {tenant: dict((await known_queries.load(conn, number)).permissions) for tenant, number in rows.all()}


async def set_up(installed: Installation, case: GreenhouseCase, missing: bool) -> None:
    for permission in case.lost():
        name = tenant_of(permission)
        grants = "all" if case.full_keys else "gem+eeoc" if case.eeoc else "gem"
        installed.add_tenant(name, grants, features=["eeoc"] if case.eeoc else [])
        if missing:
            installed.sandbox.key(name).untick(permission.endpoint)
    await installed.sync()


@pytest.mark.parametrize("case", CASES, ids=lambda w: w.name)
async def test_every_decidable_verdict_is_right_and_none_is_wrong(
    case: GreenhouseCase, sqlite: Database, tmp_path: Path
) -> None:
    """Each tenant's lost permission is found where it can be known, no other is missing, and nothing is changed."""
    async with installation(sqlite, tmp_path, sandbox_settings=case.sandbox_settings) as installed:
        await set_up(installed, case, missing=True)
        await installed.check_due()
        await installed.confirm()
        seen = await known_states(installed)
        assert installed.sandbox.request_log.change_count == 0
    for lost in case.lost():
        for asked in case.applying():
            known = seen[tenant_of(lost)][asked.id]
            assert known.verdict == case.expected(lost, asked), (lost.id, asked.id, known)
            assert not known.suspect


async def count_open(installed: Installation) -> int:
    async with installed.db.reading() as conn:
        found = await conn.execute(select(func.count()).where(INCIDENT.c.resolved_at.is_(None)))
        return int(found.scalar_one())


@pytest.mark.parametrize("case", [replace(CASES[0], every_permission=False), CASES[4]], ids=lambda w: w.name)
async def test_each_loss_opens_an_incident_and_each_repair_closes_it(
    case: GreenhouseCase, sqlite: Database, tmp_path: Path
) -> None:
    """Healthy, then each tenant loses one permission, then all are repaired: an incident each opens, and all close."""
    async with installation(sqlite, tmp_path, sandbox_settings=case.sandbox_settings) as installed:
        await set_up(installed, case, missing=False)
        await installed.check_due()
        assert await count_open(installed) == 0
        for permission in case.lost():
            installed.sandbox.key(tenant_of(permission), LABEL).untick(permission.endpoint)
        await installed.sweep()
        assert await count_open(installed) == len(case.lost())
        for permission in case.lost():
            installed.sandbox.key(tenant_of(permission), LABEL).tick(permission.endpoint)
        await installed.sweep()
        assert await count_open(installed) == 0
        assert installed.sandbox.request_log.change_count == 0
        async with installed.db.reading() as conn:
            recorded = await events(conn, Wanted())
    seen = {(e.tenant_id, e.kind, e.permission_id) for e in recorded if e.kind != EventKind.EXCESS_FOUND}
    expected = set()
    for p in case.lost():
        was_known = not case.full_keys or catalogue().entry(p.endpoint or "").request_class is RequestClass.LIST
        first = EventKind.LOST if was_known else EventKind.FOUND
        expected |= {(tenant_of(p), first, p.id), (tenant_of(p), EventKind.REGAINED, p.id)}
    assert seen == expected
