"""The faults. Each strikes a running world once, at a random moment, and leaves a service at work.

A strike returns the seconds until every tenant had been checked again, or None if it did not wait for that.
"""

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from monitor.sandbox.faults.http import Fault
from tests.command import until
from tests.disk import Disk
from tests.faults import evidence
from tests.faults.world import World

Strike = Callable[[World, random.Random], float | None]

LONGEST_LIFE_SECONDS = 5.0
WAIT_SHARE = 0.3  # so many strikes wait for the recovery; after the others the next one comes soon


def kill(world: World, rng: random.Random) -> float | None:
    """kill -9 at any moment, even during the start."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    _kill(world)
    world.start()
    return _perhaps_recover(world, rng)


def kill_while_mailing(world: World, rng: random.Random) -> float | None:
    """A slow mail server, which sometimes hangs up after accepting a mail; kill -9 while it handles a mail."""
    sink = world.mail_server.sink
    sink.seconds, sink.drop_at = rng.uniform(0, 0.6), rng.choice(["", "", "TAKEN"])
    asked, end = len(sink.asked), time.monotonic() + 2 * LONGEST_LIFE_SECONDS
    while len(sink.asked) == asked and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1.2 * sink.seconds))
    _kill(world)
    sink.seconds, sink.drop_at = 0, ""
    world.start()
    return _perhaps_recover(world, rng)


def terminate(world: World, rng: random.Random) -> float | None:
    """SIGTERM, then a new start."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    until(lambda: world.service.logged("serving"))
    assert world.service.stop(signal.SIGTERM) == 0
    _inspect(world)
    world.start()
    return _perhaps_recover(world, rng)


def freeze(world: World, rng: random.Random) -> float | None:
    """SIGSTOP for longer than a check may take; meanwhile another service takes over, or none does."""
    until(lambda: world.service.logged("serving"))
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    frozen = world.service
    frozen.process.send_signal(signal.SIGSTOP)
    if rng.random() < 0.5:
        world.start()
    time.sleep(world.lease.total_seconds() + rng.uniform(0, 2))
    frozen.process.send_signal(signal.SIGCONT)
    seconds = world.recover()
    if world.service is not frozen:
        assert frozen.stop() == 0
    return seconds


def kill_one_of_two(world: World, rng: random.Random) -> float | None:
    """Two services on one database; kill -9 of one of them."""
    while len(world.alive) < 2:
        world.start()
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    victim = rng.choice(world.alive)
    victim.process.kill()
    victim.process.wait()
    world.start()
    return _perhaps_recover(world, rng)


def lock(world: World, rng: random.Random) -> float | None:
    """Another program locks the database, sometimes for longer than we wait for it."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    seconds = 35.0 if rng.random() < 0.2 else rng.uniform(0.5, 6)
    assert world.sqlite is not None
    with closing(sqlite3.connect(world.sqlite, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")
    return world.recover()


class FillDisk:
    """The disk of the database is full for a while."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __call__(self, world: World, rng: random.Random) -> float | None:
        time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
        self._disk.fill()
        paused = len(world.service.logged("checks_paused"))
        until(lambda: len(world.service.logged("checks_paused")) > paused)
        time.sleep(rng.uniform(0, 3))
        self._disk.make_room()
        return world.recover()


def stop_mail_server(world: World, rng: random.Random) -> float | None:
    """The mail server is down, and comes back."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    world.mail_server.stop()
    time.sleep(rng.uniform(2, 8))
    began = time.monotonic()
    sent = len(world.mail_server.mails())
    world.mail_server.start()
    until(lambda: len(world.mail_server.mails()) > sent)
    return time.monotonic() - began


def outage(world: World, rng: random.Random) -> float | None:
    """Greenhouse hangs up on everybody, refuses everybody with an HTML page, or fails."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    trouble = rng.choice([{"kind": "reset"}, {"kind": "status", "status": 403}, {"kind": "status", "status": 503}])
    world.harness.sandbox.add_fault(Fault.model_validate(trouble))
    time.sleep(rng.uniform(4, 12))
    world.harness.sandbox.faults.clear()
    return world.recover()


def slow_tenant(world: World, rng: random.Random) -> float | None:
    """Greenhouse does not answer for one customer for a while."""
    slow = Fault.model_validate({"kind": "timeout", "account": rng.choice(world.tenants)})
    world.harness.sandbox.add_fault(slow)
    time.sleep(rng.uniform(4, 8))
    world.harness.sandbox.faults.clear()
    return world.recover()


def _kill(world: World) -> None:
    world.kills_in_checks += world.is_busy()
    world.kill()
    _inspect(world)


def _inspect(world: World) -> None:
    wrong = evidence.after_a_kill(world)
    assert not wrong, wrong


def _perhaps_recover(world: World, rng: random.Random) -> float | None:
    return world.recover() if rng.random() < WAIT_SHARE else None
