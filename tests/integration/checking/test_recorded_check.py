"""A check under a claim: what is recorded, what is given back, and what is told to the caller."""

from datetime import timedelta

import pytest

from checks.report import CheckReport
from monitor.checking.check_limits import CheckLimits
from monitor.checking.recorded_check import RecordedCheck
from monitor.store.database import Database
from monitor.store.tables import CHECK, CREDENTIAL
from tests.reports import KEY, POLICY, T0, served
from tests.store import a_tenant, rows, sync

LIMITS = CheckLimits(longest=timedelta(minutes=6), lease=timedelta(minutes=7))


class Clock:
    """Seconds that pass only when a check takes them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def read(self) -> float:
        return self.seconds


def recorded_check(database: Database, clock: Clock) -> RecordedCheck:
    return RecordedCheck(database, POLICY, LIMITS, lambda: T0, clock.read)


async def run(database: Database, seconds: float) -> tuple[str, bool]:
    """One check that takes so long; its fingerprint, and whether it was recorded."""
    await sync(database, a_tenant("acme"))
    clock = Clock()
    checking = recorded_check(database, clock)
    claim = await checking.claim_due(1)
    assert claim is not None

    async def check() -> tuple[CheckReport, str]:
        clock.seconds += seconds
        return served({"jobs": "g"}), KEY

    _, fingerprint, recorded = await checking.run(claim, check)
    return fingerprint, recorded is not None


@pytest.mark.parametrize(("seconds", "recorded"), [(6 * 60, True), (6 * 60 + 1, False)])
async def test_a_check_that_slept_on_the_way_is_not_recorded(
    database: Database, seconds: float, recorded: bool
) -> None:
    """Longer than any check lasts: what it saw is old. The credential is due again at once."""
    assert await run(database, seconds) == (KEY, recorded)
    assert len(await rows(database, CHECK)) == int(recorded)
    [credential] = await rows(database, CREDENTIAL)
    assert (credential["next_due"] == T0) is not recorded


async def test_a_check_that_breaks_gives_its_credential_back(database: Database) -> None:
    """Whatever is raised: the credential is due again, and not only when the lease runs out."""
    await sync(database, a_tenant("acme"))
    checking = recorded_check(database, Clock())
    claim = await checking.claim_due(1)
    assert claim is not None
    [leased] = await rows(database, CREDENTIAL)
    assert leased["next_due"] == T0 + LIMITS.lease

    async def broken() -> tuple[CheckReport, str]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await checking.run(claim, broken)
    [given_back] = await rows(database, CREDENTIAL)
    assert given_back["next_due"] == T0


async def test_a_credential_that_the_database_does_not_have_is_not_claimed(database: Database) -> None:
    """Neither by another label, nor of another tenant."""
    await sync(database, a_tenant("acme"))
    checking = recorded_check(database, Clock())
    assert await checking.claim("acme", "Another label") is None
    assert await checking.claim("globex", "Gem Harvest API Key") is None
