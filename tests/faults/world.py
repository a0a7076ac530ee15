"""One service at work beside a sandbox, a mail server and customers who turn things; faults strike it."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

from checks.manifest import load
from monitor.checking.check_limits import CheckLimits
from monitor.config import addresses
from monitor.config.settings import Settings
from monitor.sandbox.greenhouse.endpoints import endpoints
from monitor.sandbox.sandbox import Sandbox
from tests.command import Serving, run, until
from tests.faults.post import PostOffice
from tests.faults.script import LIMIT_SECONDS, Flicker, Script, Turner
from tests.neighbour import neighbour
from tests.vendor import Vendor

COMPRESSED = {
    "interval": "5s",
    "confirm_after": "1s",
    "settle": "1s",
    "deadline": "4s",
    "request_timeout": "2s",
    "smtp_timeout": "5s",
    "concurrency": 4,
}
"""All that tells a fault run from a deployment. One check after the other gets through within its deadline."""

TURNERS, KEY_TURNERS, FLICKERS = 10, 2, 2


class World:
    """`database_url` is the service's; every service that was ever started is in `services`, the last one last.

    `struck_busy` counts the kills that fell into a check.
    """

    def __init__(self, vendor: Vendor, post: PostOffice, rng: random.Random, database_url: str) -> None:
        self.vendor = vendor
        self.post = post
        self.rng = rng
        self.database_url = database_url
        self.services: list[Serving] = []
        self.struck_busy = 0
        self.settings: dict[str, object] = {**COMPRESSED, "database_url": database_url, "smtp_url": post.url}
        self.script = Script([], post)
        self._processes = ExitStack()

    def people(self, key_turners: int = KEY_TURNERS) -> None:
        """Tenants who each turn something of their own: the brake is for what many turn alike."""
        lists = _turnable()
        self.rng.shuffle(lists)
        for number in range(TURNERS + key_turners + FLICKERS):
            tenant_id = f"t{number:02}"
            self.vendor.customer(tenant_id)
            key, own = self.vendor.sandbox.key(tenant_id), random.Random(self.rng.random())
            endpoint = None if TURNERS <= number < TURNERS + key_turners else lists[number]
            if number < TURNERS + key_turners:
                self.script.customers.append(Turner(tenant_id, key, endpoint, own))
            else:
                self.script.customers.append(Flicker(tenant_id, key, lists[number], own))

    @property
    def service(self) -> Serving:
        return self.services[-1]

    @property
    def alive(self) -> list[Serving]:
        return [service for service in self.services if service.process.poll() is None]

    @property
    def tenants(self) -> list[str]:
        return [row["id"] for row in self.vendor.rows]

    @property
    def interval(self) -> timedelta:
        return self._settings.interval

    @property
    def lease(self) -> timedelta:
        return CheckLimits.of(self._settings).lease

    @property
    def _settings(self) -> Settings:
        return Settings(**{name: COMPRESSED[name] for name in ("interval", "deadline", "request_timeout")})

    @property
    def sqlite(self) -> Path | None:
        url = addresses.database_address(self.database_url)
        return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None

    def start(self) -> Serving:
        serving = self._processes.enter_context(self.vendor.serve(**self.settings))
        self.services.append(serving)
        return serving

    def command(self, *arguments: str) -> CompletedProcess[str]:
        return run(self.vendor.folder, *arguments, **{**self.vendor.settings, **self.settings})

    def kill(self) -> None:
        """kill -9, and the process is gone."""
        self.service.process.kill()
        self.service.process.wait()

    def close(self) -> None:
        self.script.stop()
        self._processes.close()

    def looked_at_since(self, moment: datetime) -> set[str]:
        """Tenants that have been looked at, as the services' logs tell."""
        lines = [line for service in self.services[-4:] for line in service.logged("checked")]
        return {line["tenant"] for line in lines if datetime.fromisoformat(line["timestamp"]) > moment}

    def recover(self) -> float:
        """Seconds until everybody has been looked at anew; AssertionError if somebody never is."""
        since, began = datetime.now(UTC), time.monotonic()
        until(lambda: self.looked_at_since(since) >= set(self.tenants), LIMIT_SECONDS)
        return time.monotonic() - began

    def is_busy(self) -> bool:
        """A request has reached Greenhouse just now: a check is under way."""
        entries = self.vendor.sandbox.request_log.entries(after=self.vendor.sandbox.request_log.request_count - 1)
        return bool(entries) and time.time() - entries[-1].at < 0.1


@contextmanager
def world(folder: Path, seed: str, database_url: str | None = None) -> Iterator[World]:
    """Nothing is started yet but the neighbours."""
    folder.mkdir(parents=True)
    sandbox, post = Sandbox(request_log_size=1000), PostOffice()
    post.open()
    with neighbour(sandbox) as url:
        address = database_url or f"sqlite:///{folder / 'harvest-monitor.sqlite3'}"
        made = World(Vendor(folder, sandbox, url), post, random.Random(seed), address)
        try:
            yield made
        finally:
            made.close()
            post.leave()


def _turnable() -> list[str]:
    """Endpoints that can be lost alone: read ones that one permission asks for, and that come with no other grant."""
    asked = [permission.endpoint for permission in load("gem").permissions if permission.feature is None]
    bundled = {name for each in endpoints().values() if each.comes_with for name in (each.name, each.comes_with)}
    return [
        name
        for name in asked
        if name is not None and name.startswith("GET ") and asked.count(name) == 1 and name not in bundled
    ]
