"""What the customers do during a fault run: each makes one change, and waits for the email about it before the next.

So the expected result is known without looking into the service: the history must have exactly these changes in this
order, and there must be one email about each.
"""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from monitor.sandbox.greenhouse.keys import Key
from tests.command import until
from tests.faults.mail_server import FaultyMailServer

LONGEST_REST_SECONDS = 2.0
LIMIT_SECONDS = 240.0


class Customer(Protocol):
    def step(self, mails: int, now: float, ending: bool) -> None:
        """Make the next change if it is time; `mails` is how many its CSM has received."""

    def done(self, mails: int) -> bool:
        """Whether everything is restored, and the CSM was notified."""


@dataclass
class ChangingCustomer:
    """Unticks one permission and ticks it again, or, without one, revokes the key and restores it."""

    tenant_id: str
    key: Key
    endpoint: str | None
    rng: random.Random
    changes: list[str] = field(default_factory=list)
    _rests_until: float = 0.0
    _mails: int = 0

    def step(self, mails: int, now: float, ending: bool) -> None:
        if mails > self._mails:
            self._mails, self._rests_until = mails, now + self.rng.uniform(0, LONGEST_REST_SECONDS)
        up = len(self.changes) % 2 == 0
        if mails < len(self.changes) or (up and ending) or (now < self._rests_until and not ending):
            return
        if self.endpoint is None:
            self.key.kill() if up else self.key.enable()
            self.changes.append("credential_failed" if up else "recovered")
        else:
            self.key.untick(self.endpoint) if up else self.key.tick(self.endpoint)
            self.changes.append("lost" if up else "regained")

    def done(self, mails: int) -> bool:
        return mails == len(self.changes) and mails % 2 == 0


@dataclass
class FlickeringCustomer:
    """Ticks and unticks without waiting: the service notices some of it, and some not."""

    tenant_id: str
    key: Key
    endpoint: str
    rng: random.Random
    _next: float = 0.0
    _gone: bool = False

    def step(self, mails: int, now: float, ending: bool) -> None:
        if ending:
            self.key.tick(self.endpoint)
        elif now >= self._next:
            self._next = now + self.rng.uniform(0.1, LONGEST_REST_SECONDS)
            self.key.tick(self.endpoint) if self._gone else self.key.untick(self.endpoint)
            self._gone = not self._gone

    def done(self, mails: int) -> bool:
        return True


class Script:
    """Runs the customers on a thread of its own, from `begin` to `end`."""

    def __init__(self, customers: list[ChangingCustomer | FlickeringCustomer], mail_server: FaultyMailServer) -> None:
        self.customers = customers
        self._mail_server = mail_server
        self._ending = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="script")

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Have everything restored, and wait until all CSMs were notified; AssertionError if that never happens."""
        self._ending.set()
        until(self._all_notified, LIMIT_SECONDS)

    def stop(self) -> None:
        """At once, whatever is under way."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def not_notified(self) -> list[str]:
        return [c.tenant_id for c in self.customers if not c.done(self._received(c))]

    def _run(self) -> None:
        while not self._over.wait(0.05):
            for customer in self.customers:
                customer.step(self._received(customer), time.monotonic(), self._ending.is_set())

    def _all_notified(self) -> bool:
        return not self.not_notified

    def _received(self, customer: ChangingCustomer | FlickeringCustomer) -> int:
        return len(self._mail_server.received(csm_of(customer.tenant_id)))


def csm_of(tenant_id: str) -> str:
    return f"csm-{tenant_id}@vendor.example"
