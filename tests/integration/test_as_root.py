"""Commands that root runs once, as people do: what they leave behind, the service's user can read and write."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor import cli
from monitor.config.settings import PREFIX, Settings

NOBODY = 65534
# Only after its imports does it become that user, who may not read where Python is installed.
AS_NOBODY = """
import os, sqlite3, sys
from pathlib import Path
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for name in sys.argv[1:]:
    if name.endswith(".key"):
        assert len(Path(name).read_text().strip()) == 64
    else:
        conn = sqlite3.connect(name, isolation_level=None)
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE tenant SET name = name")
        conn.execute("COMMIT")
        conn.close()
"""
TENANTS = 'tenants: [{id: acme, name: Acme, credential: {kind: harvest-key, label: Key, key: "file:KEY"}}]'
COMMANDS = (
    ["check", "acme"],  # writes no database, but makes the key
    ["tenants", "sync"],
    ["check", "acme", "--record"],
    ["tenants", "list"],
    ["db", "backup", "copy.sqlite3", "--with-key"],
    ["db", "restore", "copy.sqlite3"],
)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the service's user, with the settings of an installation in it."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a command for another user")
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-") as made:
        folder = Path(made)
        os.chown(folder, NOBODY, NOBODY)
        (folder / "acme").write_text("0123456789abcdef0123456789abcdef-1")
        (folder / "tenants.yaml").write_text(TENANTS.replace("KEY", str(folder / "acme")))
        for name in Settings.model_fields:
            monkeypatch.delenv(PREFIX + name.upper(), raising=False)
        monkeypatch.setenv(f"{PREFIX}HARVEST_URL", "http://127.0.0.1:1")
        monkeypatch.setenv(f"{PREFIX}REQUESTS_PER_SECOND", "0")
        monkeypatch.chdir(folder)
        yield folder


def usable_by_nobody(folder: Path) -> None:
    files = [str(file) for file in folder.iterdir() if file.suffix in (".sqlite3", ".key")]
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, *files], capture_output=True, text=True, timeout=60)
    assert (bool(files), done.returncode) == (True, 0), done.stderr


def test_what_root_leaves_behind_belongs_to_the_service(folder: Path) -> None:
    """The installation's key, the database with its log, a backup, and a database that was restored."""
    given = {"acme", "tenants.yaml"}
    for command in COMMANDS:
        cli.run(command)
        usable_by_nobody(folder)
        left = {file.name: (file.stat().st_uid, file.stat().st_mode & 0o077) for file in folder.iterdir()}
        assert {kept for name, kept in left.items() if name not in given} == {(NOBODY, 0)}, (command, left)
    assert {"harvest-monitor.key", "harvest-monitor.sqlite3", "copy.sqlite3"} < {file.name for file in folder.iterdir()}


def test_a_database_is_restored_to_the_owner_of_the_one_before(folder: Path) -> None:
    """Also where the folder belongs to somebody else, such as root."""
    assert cli.run(["tenants", "sync"]) == 0
    assert cli.run(["db", "backup", "copy.sqlite3"]) == 0
    os.chown(folder, 0, 0)
    assert cli.run(["db", "restore", "copy.sqlite3"]) == 0
    assert (folder / "harvest-monitor.sqlite3").stat().st_uid == NOBODY
