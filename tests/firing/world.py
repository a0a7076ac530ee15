"""One installation that Prometheus watches: tenants, a sandbox as Greenhouse and mail server, and the service."""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.sandbox.control.fault_presets import presets
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.mail.server import delivering
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from tests.background_server import background_server
from tests.command import ServeProcess, free_ports, run_here, serving, until
from tests.faketime import FakeTime
from tests.postgres import Postgres
from tests.prometheus import Prometheus
from tests.service import ServiceHarness

OFFERS = "GET /v1/offers"
MANIFEST = Path(__file__).with_name("manifest.yaml")
MADE_SHORT = {
    "manifest": MANIFEST,
    "interval": "20s",  # sweeps are summed up every quarter of a minute
    "deadline": "15s",
    "request_timeout": "3s",
    "retired_after": "5s",
    "tenants_reload": "1s",
}


@dataclass
class World:
    """The service listens at the same address after every start, as one does that Prometheus watches."""

    job: str
    harness: ServiceHarness
    settings: Mapping[str, object]
    clock: FakeTime
    postgres: Postgres | None = None
    _service: ExitStack = field(default_factory=ExitStack)
    _process: ServeProcess | None = None

    @property
    def sandbox(self) -> Sandbox:
        return self.harness.sandbox

    @property
    def tenants(self) -> list[str]:
        return [row["id"] for row in self.harness.rows]

    @property
    def process(self) -> ServeProcess:
        assert self._process is not None
        return self._process

    def start(self, environment: Mapping[str, str] | None = None, **settings: object) -> None:
        given: dict[str, Any] = {**self.harness.settings, **self.settings, **settings}
        self._process = self._service.enter_context(serving(self.harness.folder, environment=environment, **given))
        until(self._serving)

    def _serving(self) -> bool:
        assert self.process.process.poll() is None, self.process.log_file.read_text()
        return bool(self.process.logged("serving"))

    def kill(self) -> None:
        self.process.process.kill()
        self._service.close()

    def freeze(self, seconds: float) -> None:
        self.process.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.process.send_signal(signal.SIGCONT)

    def restart(self, environment: Mapping[str, str] | None = None, **settings: object) -> None:
        self.kill()
        self.start(environment, **settings)

    def run(self, *arguments: str) -> None:
        """A command of the operator, with the settings of the service."""
        done = run_here(self.harness.folder, *arguments, **{**self.harness.settings, **self.settings})
        assert done.returncode == 0, done.stdout + done.stderr

    def healthy(self) -> None:
        """Waits until every tenant is."""
        until(lambda: {each["status"] for each in self.harness.tenants(**self.settings).values()} == {"healthy"})

    def fault(self, preset: str, account: str | None = None) -> None:
        """One of the sandbox's presets, for everybody or for one account."""
        fault = presets()[preset].fault
        assert isinstance(fault, Fault)
        self.sandbox.add_fault(fault.model_copy(update={"account": account}))

    def untick(self, *tenants: str) -> None:
        for tenant in tenants:
            self.sandbox.key(tenant).untick(OFFERS)

    def tick(self) -> None:
        for tenant in self.tenants:
            self.sandbox.key(tenant).tick(OFFERS)


@contextmanager
def world(job: str, folder: Path, tenants: int, postgres: Postgres | None = None) -> Iterator[World]:
    """Started with so many tenants, all of them healthy; on SQLite, if not on this Postgres."""
    folder.mkdir()
    sandbox = Sandbox()
    with background_server(lambda: _greenhouse_and_mail(sandbox)) as (url, smtp_url), free_ports(1) as (port,):
        harness = ServiceHarness(folder, sandbox, url)
        for number in range(tenants):
            harness.add_tenant(f"tenant-{number}")
        short = {**MADE_SHORT, "smtp_url": smtp_url, "listen": f"127.0.0.1:{port}", "write_probes": "safe"}
        if postgres is not None:
            short |= {"database_url": postgres.address, "installation_key": folder / "harvest-monitor.key"}
        made = World(job, harness, short, FakeTime(folder), postgres)
        if postgres is not None:
            made.run("db", "upgrade")
        try:
            made.start()
            made.healthy()
            yield made
        finally:
            made.kill()


@asynccontextmanager
async def _greenhouse_and_mail(sandbox: Sandbox) -> AsyncIterator[tuple[str, str]]:
    async with running(sandbox) as url, delivering(sandbox.mailbox, "127.0.0.1", 0) as mail:
        yield url, f"smtp://{mail}?tls=none"


def watch(prometheus: Prometheus, *worlds: World) -> None:
    prometheus.scrape({each.job: str(each.settings["listen"]) for each in worlds})


def environment_with(templates: Path) -> dict[str, str]:
    """For a start with other email templates, in a folder that holds the package `templates`."""
    return {"PYTHONPATH": os.pathsep.join([str(templates), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
