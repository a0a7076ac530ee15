"""The faults. Each strikes a running world once, at a moment drawn from its dice, and leaves a service at work.

A strike returns the seconds until everybody had been looked at anew, or None where it did not wait for that.
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
PATIENCE = 0.3  # of the strikes wait for the recovery; after the others the next one comes soon


def kill(world: World, rng: random.Random) -> float | None:
    """kill -9 at any moment, also while it starts."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    _put_down(world)
    world.start()
    return _perhaps_recover(world, rng)


def kill_while_mailing(world: World, rng: random.Random) -> float | None:
    """A mail server that is slow, and sometimes hangs up once it has taken a mail; kill -9 while a mail is with it."""
    sink = world.post.sink
    sink.seconds, sink.drop_at = rng.uniform(0, 0.6), rng.choice(["", "", "TAKEN"])
    asked, end = len(sink.asked), time.monotonic() + 2 * LONGEST_LIFE_SECONDS
    while len(sink.asked) == asked and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1.2 * sink.seconds))
    _put_down(world)
    sink.seconds, sink.drop_at = 0, ""
    world.start()
    return _perhaps_recover(world, rng)


def terminate(world: World, rng: random.Random) -> float | None:
    """SIGTERM, and a start."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    until(lambda: world.service.logged("serving"))
    assert world.service.stop(signal.SIGTERM) == 0
    _inspect(world)
    world.start()
    return _perhaps_recover(world, rng)


def freeze(world: World, rng: random.Random) -> float | None:
    """SIGSTOP for longer than a check may take; another service takes over meanwhile, or nobody does."""
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
    """Two services on one database, and kill -9 for one of them."""
    while len(world.alive) < 2:
        world.start()
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    victim = rng.choice(world.alive)
    victim.process.kill()
    victim.process.wait()
    world.start()
    return _perhaps_recover(world, rng)


def lock(world: World, rng: random.Random) -> float | None:
    """Another program holds the database's lock, once in a while for longer than we wait for it."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    seconds = 35.0 if rng.random() < 0.2 else rng.uniform(0.5, 6)
    assert world.sqlite is not None
    with closing(sqlite3.connect(world.sqlite, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")
    return world.recover()


class FillDisk:
    """The disk of the database is full, until there is room again."""

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


def close_post(world: World, rng: random.Random) -> float | None:
    """The mail server is away, and comes back."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    world.post.close()
    time.sleep(rng.uniform(2, 8))
    began = time.monotonic()
    sent = len(world.post.mails())
    world.post.open()
    until(lambda: len(world.post.mails()) > sent)
    return time.monotonic() - began


def outage(world: World, rng: random.Random) -> float | None:
    """Greenhouse hangs up on everybody, refuses everybody with a page, or fails."""
    time.sleep(rng.uniform(0, LONGEST_LIFE_SECONDS))
    trouble = rng.choice([{"kind": "reset"}, {"kind": "status", "status": 403}, {"kind": "status", "status": 503}])
    world.vendor.sandbox.add_fault(Fault.model_validate(trouble))
    time.sleep(rng.uniform(4, 12))
    world.vendor.sandbox.faults.clear()
    return world.recover()


def slow_tenant(world: World, rng: random.Random) -> float | None:
    """One customer's Greenhouse answers nothing for a while."""
    slow = Fault.model_validate({"kind": "timeout", "account": rng.choice(world.tenants)})
    world.vendor.sandbox.add_fault(slow)
    time.sleep(rng.uniform(4, 8))
    world.vendor.sandbox.faults.clear()
    return world.recover()


def _put_down(world: World) -> None:
    world.struck_busy += world.is_busy()
    world.kill()
    _inspect(world)


def _inspect(world: World) -> None:
    wrong = evidence.after_a_kill(world)
    assert not wrong, wrong


def _perhaps_recover(world: World, rng: random.Random) -> float | None:
    return world.recover() if rng.random() < PATIENCE else None
