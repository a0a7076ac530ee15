"""A service at work, with a sandbox, a mail server and customers who make changes; the faults are injected here."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

from checks.manifest import load
from monitor import database_address
from monitor.checking.check_limits import CheckLimits
from monitor.config.settings import Settings
from monitor.sandbox.greenhouse.endpoints import endpoints
from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.command import ServeProcess, run, until
from tests.faults.mail_server import FaultyMailServer
from tests.faults.script import LIMIT_SECONDS, ChangingCustomer, FlickeringCustomer, Script
from tests.service import ServiceHarness

COMPRESSED = {
    "interval": "5s",
    "confirm_after": "1s",
    "settle": "1s",
    "deadline": "4s",
    "request_timeout": "2s",
    "smtp_timeout": "5s",
    "concurrency": 4,
    "background_any": 100,
}
"""The only difference between a fault run and a deployment. Checks one after the other still meet their deadline, and
tenants who each lose something different within seconds are no wave."""

CHANGING, KEY_CHANGING, FLICKERING = 10, 2, 2  # customers, by what they do


class World:
    """`database_url` is the service's. `services` has every service ever started, in order.

    `kills_in_checks` counts the kills in the middle of a check.
    """

    def __init__(
        self, harness: ServiceHarness, mail_server: FaultyMailServer, rng: random.Random, database_url: str
    ) -> None:
        self.harness = harness
        self.mail_server = mail_server
        self.rng = rng
        self.database_url = database_url
        self.services: list[ServeProcess] = []
        self.kills_in_checks = 0
        self.settings: dict[str, object] = {**COMPRESSED, "database_url": database_url, "smtp_url": mail_server.url}
        self.script = Script([], mail_server)
        self._processes = ExitStack()

    def add_customers(self, key_changing: int = KEY_CHANGING) -> None:
        """Tenants who each change something different: the brake is for what many change alike."""
        lists = _losable_endpoints()
        self.rng.shuffle(lists)
        for number in range(CHANGING + key_changing + FLICKERING):
            tenant_id = f"t{number:02}"
            self.harness.add_tenant(tenant_id)
            key, own = self.harness.sandbox.key(tenant_id), random.Random(self.rng.random())
            endpoint = None if CHANGING <= number < CHANGING + key_changing else lists[number]
            if number < CHANGING + key_changing:
                self.script.customers.append(ChangingCustomer(tenant_id, key, endpoint, own))
            else:
                self.script.customers.append(FlickeringCustomer(tenant_id, key, lists[number], own))

    @property
    def service(self) -> ServeProcess:
        return self.services[-1]

    @property
    def alive(self) -> list[ServeProcess]:
        return [service for service in self.services if service.process.poll() is None]

    @property
    def tenants(self) -> list[str]:
        return [row["id"] for row in self.harness.rows]

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
        url = database_address.database_address(self.database_url)
        return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None

    def start(self) -> ServeProcess:
        serving = self._processes.enter_context(self.harness.serve(**self.settings))
        self.services.append(serving)
        return serving

    def command(self, *arguments: str) -> CompletedProcess[str]:
        return run(self.harness.folder, *arguments, **{**self.harness.settings, **self.settings})

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        self.service.process.kill()
        self.service.process.wait()

    def close(self) -> None:
        self.script.stop()
        self._processes.close()

    def checked_since(self, moment: datetime) -> set[str]:
        """Tenants that were checked, according to the services' logs."""
        lines = [line for service in self.services[-4:] for line in service.logged("checked")]
        return {line["tenant"] for line in lines if datetime.fromisoformat(line["timestamp"]) > moment}

    def recover(self) -> float:
        """Seconds until every tenant has been checked again; AssertionError if one never is."""
        since, began = datetime.now(UTC), time.monotonic()
        until(lambda: self.checked_since(since) >= set(self.tenants), LIMIT_SECONDS)
        return time.monotonic() - began

    def is_busy(self) -> bool:
        """Whether a check is under way: a request has reached Greenhouse just now."""
        entries = self.harness.sandbox.request_log.entries(after=self.harness.sandbox.request_log.request_count - 1)
        return bool(entries) and time.time() - entries[-1].at < 0.1


@contextmanager
def world(folder: Path, seed: str, database_url: str | None = None) -> Iterator[World]:
    """Only sandbox and mail server run; no service is started yet."""
    folder.mkdir(parents=True)
    sandbox, mail_server = Sandbox(request_log_size=1000), FaultyMailServer()
    mail_server.start()
    with background_sandbox(sandbox) as url:
        address = database_url or f"sqlite:///{folder / 'harvest-monitor.sqlite3'}"
        made = World(ServiceHarness(folder, sandbox, url), mail_server, random.Random(seed), address)
        try:
            yield made
        finally:
            made.close()
            mail_server.release_port()


def _losable_endpoints() -> list[str]:
    """Endpoints that can be lost alone: reads of exactly one permission, which come with no other grant."""
    asked = [permission.endpoint for permission in load("gem").permissions if permission.feature is None]
    bundled = {name for each in endpoints().values() if each.comes_with for name in (each.name, each.comes_with)}
    return [
        name
        for name in asked
        if name is not None and name.startswith("GET ") and asked.count(name) == 1 and name not in bundled
    ]
