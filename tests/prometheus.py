"""A real Prometheus with a real Alertmanager, which sends what fires to the test. Both are Debian's.

They look several times a second, and the rules' own times are shorter: otherwise nobody could wait for them.
"""

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.command import SECONDS, free_ports, until
from tests.paths import ROOT
from tests.real_part import PartUnavailable

RULES = ROOT / "helm" / "harvest-monitor" / "alerts" / "harvest-monitor.rules.yaml"
SCRAPE_EVERY, EVALUATE_EVERY = "1s", "250ms"
A_DAY_SECONDS = 60.0
_UNIT_SECONDS = {"m": 60, "h": 3600}


class PrometheusUnavailable(PartUnavailable):
    """Prometheus or Alertmanager is not installed: apt-get install prometheus prometheus-alertmanager (Debian)."""


@dataclass(frozen=True)
class Message:
    """What Alertmanager sent about one alert, and when it came, in seconds of the monotonic clock."""

    at: float
    alert: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool


@dataclass
class AlertReceiver:
    """The end of the line: where a pager would be."""

    messages: list[Message] = field(default_factory=list)

    def take(self, sent: Mapping[str, Any]) -> None:
        now = time.monotonic()
        for alert in sent["alerts"]:
            name, firing = alert["labels"]["alertname"], alert["status"] == "firing"
            self.messages.append(Message(now, name, alert["labels"], alert["annotations"], firing))

    def last(self, alert: str, job: str) -> Message | None:
        """The last message about an alert of this job; an alert without a job is about every one."""
        of_it = [each for each in self.messages if each.alert == alert and each.labels.get("job", job) == job]
        return of_it[-1] if of_it else None

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        latest = {(each.alert, *sorted(each.labels.items())): each for each in self.messages}
        return {each.alert for each in latest.values() if each.firing}

    def wait_until_fired(self, alert: str, job: str, seconds: float = SECONDS) -> Message:
        return self._wait(alert, job, firing=True, seconds=seconds)

    def wait_until_resolved(self, alert: str, job: str, seconds: float = SECONDS) -> Message:
        return self._wait(alert, job, firing=False, seconds=seconds)

    def _wait(self, alert: str, job: str, *, firing: bool, seconds: float) -> Message:
        def found() -> Message | None:
            last = self.last(alert, job)
            return last if last is not None and last.firing is firing else None

        message: Message = until(found, seconds)
        return message


@dataclass(frozen=True)
class Prometheus:
    """`scrape` may be called again at any time, for other processes."""

    url: str
    folder: Path
    receiver: AlertReceiver

    def scrape(self, jobs: Mapping[str, str]) -> None:
        """The address, such as `127.0.0.1:9808`, of each job."""
        groups = [{"targets": [address], "labels": {"job": job}} for job, address in jobs.items()]
        new = self.folder / "targets.new"
        new.write_text(json.dumps(groups))
        new.replace(self.folder / "targets.json")

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values that the expression has at this moment."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=30) as response:
            data = json.load(response)["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def wait_for(self, expression: str) -> None:
        """Until the expression has a value."""
        until(lambda: self.ask(expression))


def shortened(rules: str, minute_seconds: float) -> str:
    """The rules with a shorter minute and hour, and a day of a minute, in each `for`, range and offset."""

    def shorter(found: re.Match[str]) -> str:
        before, number, unit = found.groups()
        seconds = A_DAY_SECONDS if unit == "d" else _UNIT_SECONDS[unit] / 60 * minute_seconds
        return f"{before}{round(int(number) * seconds * 1000)}ms"

    return re.sub(r"(\bfor: |\[|\boffset )(\d+)([mhd])\b", shorter, rules)


@contextmanager
def running_prometheus(jobs: Mapping[str, str], minute_seconds: float) -> Iterator[Prometheus]:
    """Both servers with our rules, scraping these jobs; whatever they keep is deleted at the end."""
    binaries = [shutil.which(name) for name in ("prometheus", "prometheus-alertmanager")]
    if None in binaries:
        raise PrometheusUnavailable(PrometheusUnavailable.__doc__)
    with (
        tempfile.TemporaryDirectory(prefix="harvest-monitor-prometheus-") as name,
        free_ports(2) as (port, alertmanager_port),
        _receiving() as (receiver, webhook),
    ):
        folder = Path(name)
        prometheus = Prometheus(f"http://127.0.0.1:{port}", folder, receiver)
        prometheus.scrape(jobs)
        _write_configuration(folder, minute_seconds, alertmanager_port, webhook)
        listen, keep = f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'data'}"
        notify = f"--web.listen-address=127.0.0.1:{alertmanager_port}", f"--storage.path={folder / 'notified'}"
        with (
            _server(folder, str(binaries[1]), *notify, "--cluster.listen-address=", config="alertmanager.yml"),
            _server(folder, str(binaries[0]), listen, keep, config="prometheus.yml"),
        ):
            for address in (f"http://127.0.0.1:{alertmanager_port}", prometheus.url):
                until(partial(_ready, address))
            yield prometheus


def _write_configuration(folder: Path, minute_seconds: float, alertmanager_port: int, webhook: str) -> None:
    (folder / "rules.yaml").write_text(shortened(RULES.read_text("utf-8"), minute_seconds), "utf-8")
    found = {"file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}
    alertmanagers = {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}
    prometheus = {
        "global": {
            "scrape_interval": SCRAPE_EVERY,
            "scrape_timeout": SCRAPE_EVERY,
            "evaluation_interval": EVALUATE_EVERY,
        },
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "found", **found}],
        "alerting": {"alertmanagers": [alertmanagers]},
    }
    # Each alert in a group of its own, told of at once: by default Alertmanager collects for half a minute.
    at_once = {"group_by": ["..."], "group_wait": "0s", "group_interval": EVALUATE_EVERY, "repeat_interval": "24h"}
    alertmanager = {
        "route": {"receiver": "test", **at_once},
        "receivers": [{"name": "test", "webhook_configs": [{"url": webhook, "send_resolved": True}]}],
    }
    for name, configuration in (("prometheus.yml", prometheus), ("alertmanager.yml", alertmanager)):
        (folder / name).write_text(yaml.safe_dump(configuration), "utf-8")


@contextmanager
def _server(folder: Path, *command: str, config: str) -> Iterator[None]:
    with (folder / f"{config}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--config.file={folder / config}"], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=SECONDS)


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextmanager
def _receiving() -> Iterator[tuple[AlertReceiver, str]]:
    """A receiver, and its address for Alertmanager."""
    receiver = AlertReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
