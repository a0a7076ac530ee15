"""The image, built and run by a container engine: `make image-test`. Not part of `make test`, since it takes minutes.

ENGINE is the engine's command (docker, podman), IMAGE_ARGS are arguments for the build, such as
`--build-arg PYTHON_IMAGE=…`, and PIP_CONF is the pip.conf of the builder.
"""

import gzip
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from monitor.sandbox.sandbox import Sandbox
from monitor.version import VERSION
from tests.background_server import background_sandbox
from tests.command import until

ROOT = Path(__file__).parents[2]
ENGINE = shlex.split(os.environ.get("ENGINE", "docker"))
CANARY = f"canary-{uuid.uuid4().hex}"
BUILD_SECONDS = 900
PORT = 19808
CLOSED = ["--read-only", *(["--read-only-tmpfs=false"] if "podman" in ENGINE[0] else [])]  # podman leaves /tmp writable
HARDENED = [*CLOSED, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"]
TENANTS = """
tenants:
  - id: acme
    name: Acme Corp
    credential: {kind: harvest-key, label: Gem Harvest API Key, key: "file:/etc/harvest-monitor/keys/acme"}
"""


def engine(*arguments: str, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*ENGINE, *arguments], capture_output=True, text=True, timeout=seconds, cwd=ROOT)
    assert not check or done.returncode == 0, f"{shlex.join(done.args)}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Built with a pip.conf that contains a canary, as a real one may contain a password."""
    if shutil.which(ENGINE[0]) is None:
        pytest.fail(f"{ENGINE[0]} is not installed: name a container engine, as in make image-test ENGINE=podman")
    given = os.environ.get("PIP_CONF")
    secret = tmp_path_factory.mktemp("secret") / "pip.conf"
    secret.write_text((Path(given).read_text("utf-8") if given else "") + f"\n# {CANARY}\n", "utf-8")
    tag = f"harvest-monitor-test:{uuid.uuid4().hex[:12]}"
    extra = shlex.split(os.environ.get("IMAGE_ARGS", ""))
    engine("build", *extra, "--secret", f"id=pip.conf,src={secret}", "--tag", tag, ".", seconds=BUILD_SECONDS)
    yield tag
    engine("rmi", "--force", tag)


@pytest.fixture(scope="module")
def settings(image: str) -> dict[str, Any]:
    (found,) = json.loads(engine("inspect", "--type", "image", image).stdout)
    # podman has the health check next to Config, docker within it
    return {"Healthcheck": found.get("Healthcheck"), **found["Config"]}


@dataclass
class Container:
    name: str

    def run(self, *command: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        given = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
        return engine("exec", *given, self.name, *command, check=check)

    @property
    def log(self) -> str:
        done = engine("logs", self.name)
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(engine("inspect", self.name).stdout)[0]["State"]
        return found


@pytest.fixture(scope="module")
def service(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """`serve` with only its volume writable, without privileges, and with the sandbox as Greenhouse."""
    folder = tmp_path_factory.mktemp("etc")
    for name in ("keys", "tenants"):
        (folder / name).mkdir()
    sandbox = Sandbox()
    sandbox.add_account("acme", limit=1_000_000)
    (folder / "keys" / "acme").write_text(sandbox.add_key("acme", "gem").text, "ascii")
    (folder / "tenants" / "tenants.yaml").write_text(TENANTS, "ascii")
    name = f"harvest-monitor-test-{uuid.uuid4().hex[:12]}"
    with background_sandbox(sandbox) as url:
        given = [
            *("--env", f"HARVEST_MONITOR_HARVEST_URL={url}"),
            *("--env", "HARVEST_MONITOR_REQUESTS_PER_SECOND=0"),
            *("--env", f"HARVEST_MONITOR_LISTEN=127.0.0.1:{PORT}"),
            *("--env", "HARVEST_MONITOR_TENANTS=/etc/harvest-monitor/tenants/tenants.yaml"),
            *("--volume", f"{folder / 'keys'}:/etc/harvest-monitor/keys:ro"),
            *("--volume", f"{folder / 'tenants'}:/etc/harvest-monitor/tenants:ro"),
            *("--volume", f"{name}:/var/lib/harvest-monitor"),
        ]
        engine("run", "--detach", "--name", name, *HARDENED, *given, image)
        try:
            yield Container(name)
        finally:
            engine("rm", "--force", name)
            engine("volume", "rm", "--force", name)


def test_it_states_its_version(image: str, settings: dict[str, Any]) -> None:
    """By its command, with a read-only root and without any privilege, and by its label."""
    assert engine("run", "--rm", *HARDENED, image, "--version").stdout == f"harvest-monitor {VERSION}\n"
    assert settings["Labels"]["org.opencontainers.image.version"] == VERSION


def unpacked(file: IO[bytes] | None) -> bytes:
    content = file.read() if file is not None else b""
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def test_no_layer_contains_the_build_secret(image: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """The builder's pip.conf, which may contain a password, is in no file and no history of the image."""
    archive = tmp_path / "image.tar"
    engine("save", "--output", str(archive), image, seconds=BUILD_SECONDS)
    with tarfile.open(archive) as opened:
        parts = {part.name: unpacked(opened.extractfile(part)) for part in opened if part.isfile()}
    assert len(parts) > 3
    assert [name for name, part in parts.items() if CANARY.encode() in part] == []
    assert not [variable for variable in settings["Env"] if "PIP" in variable]


def test_nothing_is_left_that_installs_or_raises_privileges(image: str) -> None:
    """No pip, no compiler, no setuid file, and of the installed commands only our own."""
    program = (
        "import os, shutil, stat, importlib.util as u\n"
        "print([c for c in ('pip', 'pip3', 'gcc', 'cc', 'uvicorn', 'alembic') if shutil.which(c)])\n"
        "print([m for m in ('pip', 'setuptools', 'hatchling', 'pytest') if u.find_spec(m)])\n"
        "raised = [os.path.join(d, f) for d, _, fs in os.walk('/') if not d.startswith(('/proc', '/sys'))\n"
        "          for f in fs if os.lstat(os.path.join(d, f)).st_mode & (stat.S_ISUID | stat.S_ISGID)]\n"
        "print(raised)"
    )
    python = "/opt/harvest-monitor/bin/python"
    found = engine("run", "--rm", *HARDENED, "--user", "0", "--entrypoint", python, image, "-c", program)
    assert found.stdout == "[]\n[]\n[]\n"


def test_it_serves_without_privileges_and_with_one_writable_folder(service: Container) -> None:
    """A check is made and recorded; the process is not root, and neither has capabilities nor can gain any."""
    state = until(lambda: tenants_state(service))
    assert state == "ok", service.log
    status = dict(
        line.split(":\t") for line in service.run("cat", "/proc/1/status").stdout.splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    for folder in ("/tmp", "/etc", "/opt/harvest-monitor", "/"):
        assert service.run("touch", f"{folder}/x", check=False).returncode != 0, folder
    assert service.run("ls", "/var/lib/harvest-monitor").stdout.split() == [
        "harvest-monitor.key",
        "harvest-monitor.sqlite3",
        "harvest-monitor.sqlite3-shm",
        "harvest-monitor.sqlite3-wal",
    ]


def tenants_state(service: Container) -> str | None:
    done = service.run("harvest-monitor", "tenants", "list", "--json", check=False)
    found = json.loads(done.stdout)["tenants"] if done.returncode == 0 else []
    return str(found[0]["state"]) if found and found[0]["state"] != "unreachable" else None


def test_the_health_check_requests_the_service(service: Container, settings: dict[str, Any]) -> None:
    """The image's command passes while the service answers, and fails on a port where nothing does."""
    kind, *command = settings["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert service.run(*command).returncode == 0
    assert service.run(*command, check=False, HARVEST_MONITOR_LISTEN="127.0.0.1:1").returncode != 0


def test_it_stops_cleanly(service: Container) -> None:
    """On SIGTERM the container's first process ends by itself: a killed one has another exit status."""
    engine("stop", "--time", "60", service.name)
    assert service.state()["ExitCode"] == 0, service.log
    assert '"event": "stopped"' in service.log
