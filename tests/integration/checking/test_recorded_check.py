"""A check with a claim: what is recorded, what is released, and what the caller gets."""

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
    """A clock that moves only when a check takes time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def read(self) -> float:
        return self.seconds


def recorded_check(database: Database, clock: Clock) -> RecordedCheck:
    return RecordedCheck(database, POLICY, LIMITS, lambda: T0, clock.read)


async def run(database: Database, seconds: float) -> tuple[str, bool]:
    """Makes a check of this duration; its fingerprint, and whether it was recorded."""
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
async def test_a_check_that_was_frozen_is_not_recorded(database: Database, seconds: float, recorded: bool) -> None:
    """It took longer than any check may, so what it saw is old. The credential is due again at once."""
    assert await run(database, seconds) == (KEY, recorded)
    assert len(await rows(database, CHECK)) == int(recorded)
    [credential] = await rows(database, CREDENTIAL)
    assert (credential["next_due"] == T0) is not recorded


async def test_a_check_that_raises_releases_its_credential(database: Database) -> None:
    """The credential is due again at once, not only when the lease expires."""
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
    [released] = await rows(database, CREDENTIAL)
    assert released["next_due"] == T0


async def test_an_unknown_credential_is_not_claimed(database: Database) -> None:
    """Neither with an unknown label, nor of an unknown tenant."""
    await sync(database, a_tenant("acme"))
    checking = recorded_check(database, Clock())
    assert await checking.claim("acme", "Another label") is None
    assert await checking.claim("globex", "Gem Harvest API Key") is None
