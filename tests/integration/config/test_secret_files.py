"""Secrets in files that are missing, empty, replaced or out of reach for a moment: real files, real errors."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.credential import CredentialKind
from checks.file_errors import may_pass
from monitor.config.secrets import resolve_credential_reference
from monitor.errors import SourceFailed, UnresolvedReference
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import CredentialConfig
from tests.paths import ROOT

KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"


async def read(path: Path, replacing_seconds: float = 0) -> str:
    return await resolve_credential_reference(
        f"file:{path}", tenant_id="acme", environ={}, command_seconds=1, replacing_seconds=replacing_seconds
    )


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t", b"\0" * 34])
async def test_an_empty_file_may_be_about_to_be_filled(tmp_path: Path, content: bytes) -> None:
    """Zeros are what a network drive shows of what has not arrived yet."""
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(SourceFailed) as caught:
        await read(path)
    assert str(caught.value).startswith(f"file:{path}: the file is empty, perhaps because it is being written: if ")


async def test_an_empty_variable_cannot_fill_itself() -> None:
    """A process keeps its environment: it is a mistake at once, as an unset one is."""
    config = CredentialConfig("Key", CredentialKind.HARVEST_KEY, "env:ACME", None)
    for environ, said in (({"ACME": ""}, "env:ACME: the key is empty: store"), ({}, "env:ACME: .* not set: set it")):
        loader = CredentialLoader(b"k" * 32, 1, environ, replacing_seconds=3600)
        with pytest.raises(UnresolvedReference, match=said) as caught:
            await loader.load("acme", config)
        assert not isinstance(caught.value, SourceFailed), environ


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


async def test_what_is_certain_about_a_file_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, below a file, a loop of links, a socket, a folder, a pipe, a name that no file can have."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    (tmp_path / "file").write_text(KEY)
    made: dict[str, Callable[[Path], object]] = {
        "missing": lambda path: None,
        "file/below": lambda path: None,
        "loop": a_loop,
        "socket": lambda path: a_socket(Path("socket")),
        "folder": Path.mkdir,
        "pipe": os.mkfifo,
        "n" * 300: lambda path: None,
    }
    for name, make in made.items():
        make(tmp_path / name)
        with pytest.raises(UnresolvedReference, match=r"correct the path|name the file") as caught:
            await read(tmp_path / name)
        assert not isinstance(caught.value, SourceFailed), name


def test_every_error_that_is_not_known_to_be_certain_may_pass() -> None:
    certain = {name for number, name in errno.errorcode.items() if not may_pass(OSError(number, "x"))}
    assert certain == {
        "ENOENT",
        "EACCES",
        "EPERM",
        "ENOTDIR",
        "EISDIR",
        "ELOOP",
        "ENAMETOOLONG",
        "ENXIO",
        "ENOEXEC",
    }
    for passing in ("EMFILE", "ENFILE", "EIO", "ENOMEM", "ESTALE", "EINTR", "EAGAIN", "ETIMEDOUT", "EREMOTEIO"):
        assert passing not in certain
    assert may_pass(OSError("without a number"))


async def test_a_drive_that_fails_to_read_may_read_the_next_time() -> None:
    """The first page of a process's own memory is a regular file that opens, and cannot be read (EIO)."""
    with pytest.raises(SourceFailed, match=r"cannot be read right now \(Input/output error\): if this lasts, see to"):
        await read(Path("/proc/self/mem"))


async def replaced(path: Path, spoil: Callable[[Path], object]) -> str:
    """What is read from a file that is spoiled, and whole again a moment later."""
    path.write_text(KEY)
    spoil(path)
    reading = asyncio.create_task(read(path, replacing_seconds=0.3))
    await asyncio.sleep(0.05)
    assert not reading.done()
    path.write_text(KEY)
    return await reading


async def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """Deleted and created again, or truncated and written again: no moment of it is told."""
    assert await replaced(tmp_path / "deleted", Path.unlink) == KEY
    assert await replaced(tmp_path / "truncated", lambda path: os.truncate(path, 0)) == KEY


WITHOUT_HANDLES = """
import asyncio, os, resource, sys
from pathlib import Path
from checks.errors import ReadFailed
from checks.manifest import load
from monitor.config.secrets import resolve_credential_reference
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, SourceFailed
from monitor.tenants.file_reader import read_tenants_file
from monitor.tenants.fingerprint_key import installation_key
from monitor.tenants.manifests import ManifestRegistry

folder = Path(sys.argv[1])
registry = ManifestRegistry(load("gem"))
settings = Settings(installation_key=folder / "installation")
key = installation_key(settings)

async def secret(reference):
    return await resolve_credential_reference(
        reference, tenant_id="acme", environ={}, command_seconds=5, replacing_seconds=0
    )

async def ends(*calls):
    for call in calls:
        try:
            found = call()
            if asyncio.iscoroutine(found):
                found = await found
            print("read", flush=True)
        except (SourceFailed, ReadFailed, ConfigurationError) as problem:
            print(type(problem).__name__, problem, flush=True)

async def main():
    calls = (
        lambda: secret(f"file:{folder}/key"),
        lambda: secret("command:/bin/echo key"),
        lambda: read_tenants_file(folder / "tenants.yaml"),
        lambda: registry.manifest(f"{folder}/manifest.yaml"),
        lambda: installation_key(settings),
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    await ends(*calls)
    for handle in held:
        os.close(handle)
    await ends(*calls)

asyncio.run(main())
"""


def test_without_file_handles_nothing_is_called_a_mistake(tmp_path: Path) -> None:
    """Nor of the tenants file, a manifest or the installation's key; all is read when there are handles again."""
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "tenants.yaml").write_text(
        "tenants: [{id: a, name: A, credential: {kind: harvest-key, label: K, key: 'env:K'}}]"
    )
    (tmp_path / "manifest.yaml").write_text((ROOT / "checks/manifests/gem.yaml").read_text("utf-8"), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HANDLES, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    said = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == [
        "SourceFailed",
        "SourceFailed",
        "ReadFailed",
        "ReadFailed",
        "ConfigurationError",
        *["read"] * 5,
    ], done.stderr
    assert all("right now (Too many open files)" in line for line in said[:5])
    assert "leave the file as it is" in said[4]
