"""One run: a world, some strikes of one fault, and the findings."""

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
from tests.faults.world import KEY_CHANGING, World, world
from tests.postgres import running_postgres


@dataclass
class Result:
    """`kills_in_checks` counts kills in the middle of a check; `seconds` are times to recover, if measured."""

    strikes: int = 0
    kills_in_checks: int = 0
    seconds: list[float] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def at_work(strike: Strike, number: int, seed: str, folder: Path, key_changing: int = KEY_CHANGING) -> Result:
    """Some strikes at a service at work on a SQLite file."""
    return in_turn(repeat(strike, number), seed, folder, key_changing)


def in_turn(
    strikes: Iterable[Strike], seed: str, folder: Path, key_changing: int = KEY_CHANGING, **settings: object
) -> Result:
    """One strike after the other."""
    with world(folder, seed) as here:
        here.settings |= settings
        return _run(here, strikes, key_changing)


def on_postgres(strike: Strike, number: int, seed: str, folder: Path) -> Result:
    with running_postgres() as server:
        address = make_url(server.address).set(drivername="postgresql").render_as_string()
        with world(folder, seed, address) as here:
            here.settings["installation_key"] = folder / "harvest-monitor.key"
            assert here.command("db", "upgrade").returncode == 0
            return _run(here, repeat(strike, number), KEY_CHANGING)


def on_a_small_disk(number: int, seed: str, folder: Path) -> Result:
    """DiskUnavailable if this user may not mount one."""
    folder.mkdir(parents=True)
    with small_disk(folder / "disk") as disk:
        with world(folder / "world", seed, f"sqlite:///{disk.folder / 'monitor.sqlite3'}") as here:
            return _run(here, repeat(FillDisk(disk), number), KEY_CHANGING)


def at_the_first_start(number: int, seed: str, folder: Path) -> Result:
    """kill -9 while an empty folder becomes an installation, each time a new one."""
    result, rng = Result(), random.Random(seed)
    for attempt in range(number):
        with world(folder / str(attempt), seed) as here:
            here.add_customers(0)
            here.start()
            time.sleep(rng.uniform(0, 3))
            here.kill()
            result.findings.wrong += evidence.after_a_kill(here)
            here.start()
            result.seconds.append(here.recover())
            result.strikes += 1
            result.findings.add(_findings(here))
    return result


def _run(here: World, strikes: Iterable[Strike], key_changing: int) -> Result:
    result = Result()
    here.add_customers(key_changing)
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
    result.kills_in_checks = here.kills_in_checks
    result.findings.add(_findings(here))
    return result


def _findings(here: World) -> Findings:
    """What is found once everything is settled, or has had the time to settle."""
    here.script.stop()
    wrong = []
    try:
        until(lambda: asyncio.run(evidence.settled(here.database_url)), LIMIT_SECONDS)
    except AssertionError:
        wrong.append("a notice was never sent")
    for service in here.alive:
        if service.stop() != 0:
            wrong.append("it did not stop cleanly")
    found = evidence.at_the_end(here)
    found.wrong += wrong
    return found
