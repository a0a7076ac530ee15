"""Tenants that stand in every way there is, as checks left them."""

from collections.abc import Mapping
from datetime import datetime

from checks.credential import CredentialState
from checks.report import CheckReport
from monitor.store.database import Database
from tests.reports import MINUTE, failed, served
from tests.store import a_tenant, check, sync

STANDING: Mapping[str, CheckReport | None] = {
    "failing": failed(CredentialState.INVALID, "revoked"),
    "drifted": served({"jobs": "m", "offers": "m", "users": "g"}),
    "undecided": served({f"permission{number}": "u" for number in range(63)}),
    "new": None,
    "healthy": served({"jobs": "g"}),
}
"""By the status that follows; None for a tenant that was not checked yet."""


async def settle_fleet(database: Database, fleet: Mapping[str, str], at: datetime) -> None:
    """Tenants by id, each with the status that it is to have at `at`; what is confirmed took two checks."""
    await sync(database, *(a_tenant(id_, name=f"{id_.title()} Corporation") for id_ in fleet), now=at - MINUTE)
    for number, id_ in enumerate(sorted(fleet), 1):  # in which order they are stored
        report = STANDING[fleet[id_]]
        for moment in (at - MINUTE, at)[fleet[id_] in ("healthy", "undecided") :]:
            if report:
                await check(database, report, moment, credential_id=number)
