"""One run: a world, so many strikes of one fault, and the findings."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

from sqlalchemy import make_url

from tests.command import until
from tests.disk import small_disk
from tests.faults import evidence
from tests.faults.evidence import Findings
from tests.faults.script import LIMIT_SECONDS
from tests.faults.strikes import FillDisk, Strike
from tests.faults.world import KEY_TURNERS, World, world
from tests.postgres import running_postgres


@dataclass
class Result:
    """`struck_busy` are strikes in the middle of a check; `seconds` are times to recover, where they were taken."""

    strikes: int = 0
    struck_busy: int = 0
    seconds: list[float] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def at_work(strike: Strike, number: int, seed: str, folder: Path, key_turners: int = KEY_TURNERS) -> Result:
    """So many strikes at a service at work on a SQLite file."""
    return in_turn(repeat(strike, number), seed, folder, key_turners)


def in_turn(
    strikes: Iterable[Strike], seed: str, folder: Path, key_turners: int = KEY_TURNERS, **settings: object
) -> Result:
    """One strike after the other, as they come."""
    with world(folder, seed) as here:
        here.settings |= settings
        return _struck(here, strikes, key_turners)


def on_postgres(strike: Strike, number: int, seed: str, folder: Path) -> Result:
    with running_postgres() as server:
        address = make_url(server.address).set(drivername="postgresql").render_as_string()
        with world(folder, seed, address) as here:
            here.settings["installation_key"] = folder / "harvest-monitor.key"
            assert here.command("db", "upgrade").returncode == 0
            return _struck(here, repeat(strike, number), KEY_TURNERS)


def on_a_small_disk(number: int, seed: str, folder: Path) -> Result:
    """NoDisk where this user may not mount one."""
    folder.mkdir(parents=True)
    with small_disk(folder / "disk") as disk:
        with world(folder / "world", seed, f"sqlite:///{disk.folder / 'monitor.sqlite3'}") as here:
            return _struck(here, repeat(FillDisk(disk), number), KEY_TURNERS)


def at_the_first_start(number: int, seed: str, folder: Path) -> Result:
    """kill -9 while an empty folder becomes an installation, each time a new one."""
    result, rng = Result(), random.Random(seed)
    for attempt in range(number):
        with world(folder / str(attempt), seed) as here:
            here.people(0)
            here.start()
            time.sleep(rng.uniform(0, 3))
            here.kill()
            result.findings.wrong += evidence.after_a_kill(here)
            here.start()
            result.seconds.append(here.recover())
            result.strikes += 1
            result.findings.add(_judged(here))
    return result


def _struck(here: World, strikes: Iterable[Strike], key_turners: int) -> Result:
    result = Result()
    here.people(key_turners)
    here.start()
    try:
        here.recover()
        here.script.begin()
        for strike in strikes:
            seconds = strike(here, here.rng)
            result.strikes += 1
            result.seconds += [] if seconds is None else [seconds]
        here.script.end()
        here.recover()
    except AssertionError as problem:
        result.findings.wrong.append(f"strike {result.strikes}: {problem or 'it did not come in time'}")
    result.struck_busy = here.struck_busy
    result.findings.add(_judged(here))
    return result


def _judged(here: World) -> Findings:
    """What is to be found once everything has come to rest, or could have."""
    here.script.stop()
    wrong = []
    try:
        until(lambda: asyncio.run(evidence.settled(here.database_url)), LIMIT_SECONDS)
    except AssertionError:
        wrong.append("something was never told")
    for service in here.alive:
        if service.stop() != 0:
            wrong.append("it did not stop cleanly")
    found = evidence.at_the_end(here)
    found.wrong += wrong
    return found
