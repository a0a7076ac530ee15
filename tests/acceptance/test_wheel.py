"""The wheel in an empty folder, with only the packages of requirements.lock."""

import re
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import pytest

from monitor.version import VERSION
from tests.command import SECONDS, bare_environment, run, serving, until

ROOT = Path(__file__).parents[2]
PACKAGES = ("checks", "monitor", "templates")
SCENARIO = """
accounts:
  - name: acme
    key: {grants: {from: gem, without: [GET /v1/offers]}, text: sandbox-acme-1}
    settings: {limit: 100000}
"""
TENANTS = """
tenants:
  - id: acme
    name: Acme Corp
    csm: {name: Dana Reyes, email: dana@vendor.example}
    credential: {kind: harvest-key, label: Gem Harvest API Key, key: "file:FOLDER/key"}
"""
QUICK = {
    "requests_per_second": 0,
    "confirm_after": 0,
    "settle": "1s",
    "notices": "csm",
    "smtp_url": "mailbox:mail",
    "mail_from": "monitor@vendor.example",
    "operator_mail": "ops@vendor.example",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in an environment without the working copy and without the packages only tests need."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python3*/site-packages")
    for name in locked():
        for part in distribution_parts(name):
            (site / part.name).symlink_to(part)
    pip("--python", str(home / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    return home / "bin" / "harvest-monitor"


def pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr


def locked() -> list[str]:
    """The packages of requirements.lock."""
    return re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.M)


def distribution_parts(name: str) -> set[Path]:
    """Its modules, packages and metadata in site-packages."""
    found = distribution(name)
    first = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(found.locate_file(part))) for part in first}


@contextmanager
def imitated_greenhouse(folder: Path, command: Path) -> Iterator[str]:
    (folder / "scenario.yaml").write_text(SCENARIO, "ascii")
    process = subprocess.Popen(
        [str(command), "sandbox", "--scenario", "scenario.yaml", "--port", "0"],
        cwd=folder,
        env=bare_environment(folder, {}),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        try:
            found = re.search(r"http://[^ ]+:\d+", process.stderr.readline())
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    """Templates, manifests, migrations, the catalogue and the sandbox's page are in it; tests and keys are not."""
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert packed == {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_installed_command_uses_nothing_of_the_working_copy(command: Path, tmp_path: Path) -> None:
    """The next test runs the wheel: none of its imports leads to the working copy or to a package for tests."""
    code = "import sys, checks, monitor, templates; print(*sys.path, checks.__file__, monitor.__file__, sep='\\n')"
    python = command.with_name("python")
    printed = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert printed.returncode == 0, printed.stderr
    assert str(ROOT) not in printed.stdout
    missing = subprocess.run([python, "-c", "import pytest"], cwd=tmp_path, capture_output=True, timeout=SECONDS)
    assert missing.returncode == 1
    assert run(tmp_path, "--version", command=command).stdout == f"harvest-monitor {VERSION}\n"


def test_it_works_completely_in_an_empty_folder(command: Path, tmp_path: Path) -> None:
    """From the catalogue to the email: it imitates Greenhouse, creates a database, checks, and emails the CSM."""
    assert "PUT: Merge two candidates" in run(tmp_path, "manifest", "show", "gem", command=command).stdout
    upgraded = run(tmp_path, "db", "upgrade", command=command)
    assert upgraded.stdout == "the tables are up to date\n", upgraded.stderr
    (tmp_path / "key").write_text("sandbox-acme-1", "ascii")
    (tmp_path / "tenants.yaml").write_text(TENANTS.replace("FOLDER", str(tmp_path)), "ascii")
    with imitated_greenhouse(tmp_path, command) as url:
        with urllib.request.urlopen(f"{url}/_sandbox/", timeout=SECONDS) as page:
            assert b"<html" in page.read()
        with serving(tmp_path, command, harvest_url=url, **QUICK) as service:
            (mail,) = until(lambda: sorted((tmp_path / "mail").glob("*acme*.html")))
            assert "GET: List offers" in mail.read_text("utf-8")
            assert service.stop() == 0


def test_a_program_that_comes_into_the_same_packages_is_noticed(command: Path, tmp_path: Path) -> None:
    """Its files among ours, by its name, and a file of ours that it has replaced; nothing where we are alone."""
    site = next(command.parents[1].glob("lib/python3*/site-packages"))
    ours = site / "templates" / "__init__.py"
    others = {
        site / "checks" / "plumbing.py": "",
        site / "plumber-1.0.dist-info" / "METADATA": "Metadata-Version: 2.1\nName: plumber\nVersion: 1.0\n",
        site / "plumber-1.0.dist-info" / "RECORD": "checks/plumbing.py,,\n",
    }
    assert found_in(command, tmp_path) == []
    before = ours.read_text("utf-8")
    try:
        for file, text in others.items():
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, "ascii")
        ours.write_text("# another program's", "ascii")
        assert found_in(command, tmp_path) == [
            "templates/__init__.py of this program is not as it was installed",
            "files of another program are among this one's (plumber): checks/plumbing.py",
        ]
    finally:
        (site / "checks" / "plumbing.py").unlink()
        shutil.rmtree(site / "plumber-1.0.dist-info")
        ours.write_text(before, "utf-8")


def found_in(command: Path, folder: Path) -> list[str]:
    code = "from monitor.upkeep import installed_files as files\nfor one in files.of_distribution(): print(one.message)"
    done = subprocess.run(
        [command.with_name("python"), "-c", code], cwd=folder, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
