"""What the customers do during a fault run: one thing at a time each, and no next one before its mail has come.

So the truth is known without looking into the service: as many turns as there were must stand in the history, in this
order, and each must have been told in a mail of its own.
"""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from monitor.sandbox.greenhouse.keys import Key
from tests.command import until
from tests.faults.post import PostOffice

LONGEST_REST_SECONDS = 2.0
LIMIT_SECONDS = 240.0


class Customer(Protocol):
    def step(self, heard: int, now: float, ending: bool) -> None:
        """Do the next thing, if it is time for it; `heard` is how many mails its CSM has got."""

    def done(self, heard: int) -> bool:
        """Everything is as it was, and told."""


@dataclass
class Turner:
    """Unticks one permission and ticks it again, or, without one, kills the key and enables it."""

    tenant_id: str
    key: Key
    endpoint: str | None
    rng: random.Random
    turns: list[str] = field(default_factory=list)
    _rests_until: float = 0.0
    _heard: int = 0

    def step(self, heard: int, now: float, ending: bool) -> None:
        if heard > self._heard:
            self._heard, self._rests_until = heard, now + self.rng.uniform(0, LONGEST_REST_SECONDS)
        up = len(self.turns) % 2 == 0
        if heard < len(self.turns) or (up and ending) or (now < self._rests_until and not ending):
            return
        if self.endpoint is None:
            self.key.kill() if up else self.key.enable()
            self.turns.append("credential_failed" if up else "recovered")
        else:
            self.key.untick(self.endpoint) if up else self.key.tick(self.endpoint)
            self.turns.append("lost" if up else "regained")

    def done(self, heard: int) -> bool:
        return heard == len(self.turns) and heard % 2 == 0


@dataclass
class Flicker:
    """Ticks and unticks without waiting for anybody: some of it is seen, and some is not."""

    tenant_id: str
    key: Key
    endpoint: str
    rng: random.Random
    _next: float = 0.0
    _gone: bool = False

    def step(self, heard: int, now: float, ending: bool) -> None:
        if ending:
            self.key.tick(self.endpoint)
        elif now >= self._next:
            self._next = now + self.rng.uniform(0.1, LONGEST_REST_SECONDS)
            self.key.tick(self.endpoint) if self._gone else self.key.untick(self.endpoint)
            self._gone = not self._gone

    def done(self, heard: int) -> bool:
        return True


class Script:
    """Plays the customers on a thread of its own, from `begin` to `end`."""

    def __init__(self, customers: list[Turner | Flicker], post: PostOffice) -> None:
        self.customers = customers
        self._post = post
        self._ending = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, name="script")

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Let everything be put right again, and wait until all of it was told; AssertionError if it never is."""
        self._ending.set()
        until(self._all_told, LIMIT_SECONDS)

    def stop(self) -> None:
        """At once, wherever it is."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def untold(self) -> list[str]:
        return [c.tenant_id for c in self.customers if not c.done(self._heard(c))]

    def _play(self) -> None:
        while not self._over.wait(0.05):
            for customer in self.customers:
                customer.step(self._heard(customer), time.monotonic(), self._ending.is_set())

    def _all_told(self) -> bool:
        return not self.untold

    def _heard(self, customer: Turner | Flicker) -> int:
        return len(self._post.told(csm_of(customer.tenant_id)))


def csm_of(tenant_id: str) -> str:
    return f"csm-{tenant_id}@vendor.example"
