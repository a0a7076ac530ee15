"""A machine of its own with a real systemd: a container of systemd-nspawn with this machine's programs.

It has its own users, /etc, /var and network, and our command in /opt/harvest-monitor, as README installs it.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT
from tests.real_part import PartUnavailable

SECONDS = 60
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_HOME = Path("/opt/harvest-monitor")
# Nothing but these: services of this machine stay out, and no network is waited for.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MASKED = ("systemd-networkd.service", "systemd-networkd-wait-online.service", "systemd-firstboot.service")
_COPIED = ("login.defs", "nsswitch.conf", "os-release")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:1::::::\n",
    # A Python that is not the system's may keep its library beside it.
    "etc/ld.so.conf": "/opt/python/lib\n/lib/x86_64-linux-gnu\n/lib/aarch64-linux-gnu\n",
    f"{_HOME}/pyvenv.cfg": "home = /opt/python/bin\ninclude-system-site-packages = false\n",
    f"{_HOME}/lib/{_PYTHON}/site-packages/here.pth": "/srv/packages\n/srv/source\n",
    f"{_HOME}/bin/harvest-monitor": f"#!{_HOME}/bin/python\nfrom monitor.__main__ import main\nmain()\n",
}


class SystemdUnavailable(PartUnavailable):
    """systemd-nspawn takes root and the package systemd-container (Debian)."""


@dataclass(frozen=True)
class Machine:
    root: Path
    leader: int

    def run(self, script: str, pasted: str = "") -> subprocess.CompletedProcess[str]:
        """Runs it as root in the machine; whatever becomes of it."""
        command = ["nsenter", "-t", str(self.leader), "-a", "env", "-i", f"PATH={_PATH}", "/bin/bash", "-ec", script]
        return subprocess.run(command, input=pasted, capture_output=True, text=True, timeout=SECONDS)

    def does(self, script: str, pasted: str = "") -> str:
        done = self.run(script, pasted)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shows(self, unit: str, *properties: str) -> dict[str, str]:
        shown = self.does(f"systemctl show --property={','.join(properties)} {unit}")
        return dict(line.split("=", 1) for line in shown.splitlines())


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze`, which reads a unit and starts nothing."""
    if shutil.which("systemd-analyze") is None:
        raise SystemdUnavailable("systemd-analyze is not installed (Debian: systemd)")
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


@contextmanager
def running_machine(folder: Path) -> Iterator[Machine]:
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        raise SystemdUnavailable(SystemdUnavailable.__doc__)
    root = _prepared(folder / "root")
    with (folder / "boot.log").open("w") as log:
        process = subprocess.Popen(_boot(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            machine = Machine(root, _leader(process, folder / "boot.log"))
            machine.does("ldconfig")
            yield machine
        finally:
            # It kills what runs in the machine, and ends.
            process.terminate()
            try:
                process.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=SECONDS)


def _prepared(root: Path) -> Path:
    for name in (
        "etc/systemd/system",
        "usr",
        "var/lib",
        "opt/python",
        "srv",
        "root",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
    ):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name, text in _FILES.items():
        (file := root / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "ascii")
    for name in _COPIED:
        shutil.copy(f"/etc/{name}", root / "etc")
    for name in _MASKED:
        (root / "etc/systemd/system" / name).symlink_to("/dev/null")
    home = root / str(_HOME).lstrip("/")
    (home / "bin/harvest-monitor").chmod(0o755)
    (home / "bin/python").symlink_to(f"/opt/python/bin/{_PYTHON}")
    root.chmod(0o755)
    return root


def _boot(root: Path) -> list[str]:
    packages = Path(sys.prefix) / "lib" / _PYTHON / "site-packages"
    binds = {"/usr": "/usr", sys.base_prefix: "/opt/python", packages: "/srv/packages", ROOT: "/srv/source"}
    return [
        "systemd-nspawn",
        f"--directory={root}",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        "--private-network",
        "--link-journal=no",
        *(f"--bind-ro={here}:{there}" for here, there in binds.items()),
        "systemd.unit=basic.target",
    ]


def _leader(process: subprocess.Popen[bytes], log: Path) -> int:
    """The process of the machine's systemd, once it is up."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for child in children.read_text().split():
            state = Machine(Path("/"), int(child)).run("systemctl is-system-running || true").stdout.strip()
            if state in ("running", "degraded"):
                return int(child)
        time.sleep(0.2)
    raise SystemdUnavailable(f"no container with systemd starts here: {log.read_text('utf-8', 'replace')[-500:]}")
