"""Commands that print a secret: real programs that print, hang, fail, and print too much."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from checks.credential import CredentialKind, OAuthClient
from monitor.config.secrets import resolve_credential_reference
from monitor.errors import SourceFailed, UnresolvedReference
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import CredentialConfig, Grant, OAuthConfig
from tests.command import until

SECRET = "s3cret-of-another-tenant"


def program(folder: Path, script: str) -> str:
    """The reference of a program with this script."""
    path = folder / "give"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return f"command:{path}"


async def run(reference: str, tenant_id: str = "acme", seconds: float = 10.0, **environ: str) -> str:
    return await resolve_credential_reference(
        reference,
        tenant_id=tenant_id,
        environ={"PATH": os.environ["PATH"], **environ},
        command_seconds=seconds,
        replacing_seconds=0,
    )


async def test_a_command_is_run_without_a_shell_for_one_tenant(tmp_path: Path) -> None:
    """Arguments are passed unchanged; the tenant's id replaces `{tenant}` and is in a variable."""
    reference = program(tmp_path, 'echo "$#:$1:$2:$3:$HARVEST_MONITOR_TENANT"')
    assert await run(f"{reference} --for {{tenant}} $HOME;ls") == "3:--for:acme:$HOME;ls:acme"


async def test_a_command_sees_nothing_of_the_services_environment(tmp_path: Path) -> None:
    """It may hold other tenants' keys; PATH and language are passed on."""
    assert await run(program(tmp_path, "env | sort | tr '\\n' ' '"), LANG="C", OTHER=SECRET) == (
        f"HARVEST_MONITOR_TENANT=acme LANG=C PATH={os.environ['PATH']} PWD=/ "
    )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo one; echo two", "prints 2 lines"),
        ("printf 'x%.0s' $(seq 20000)", "more than 16384 bytes"),
        ("yes " + SECRET, "more than 16384 bytes"),
        ("head -c 10000000 /dev/zero", "more than 16384 bytes"),
    ],
)
async def test_what_is_not_one_line_is_refused(tmp_path: Path, script: str, said: str) -> None:
    """Nothing that it printed is shown, and a program that prints endlessly is killed."""
    with pytest.raises(UnresolvedReference, match=said) as caught:
        await run(program(tmp_path, script))
    assert not isinstance(caught.value, SourceFailed)
    assert SECRET not in str(caught.value)


async def test_a_command_that_fails_may_work_the_next_time(tmp_path: Path) -> None:
    """The error has its status and nothing that it printed, not even on stderr."""
    with pytest.raises(SourceFailed, match="ended with status 3") as caught:
        await run(program(tmp_path, f"echo {SECRET}; echo {SECRET} >&2; exit 3"))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("script", ["true", "echo", "echo ' '; echo", "cat /dev/null"])
async def test_a_command_that_prints_nothing_may_print_it_the_next_time(tmp_path: Path, script: str) -> None:
    """As one that prints a file that is being written."""
    with pytest.raises(SourceFailed, match="printed nothing: run it yourself"):
        await run(program(tmp_path, script))


async def test_a_command_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    """At its time limit, even while what it started still holds its output open."""
    began = time.monotonic()
    with pytest.raises(SourceFailed, match=r"nothing within 0\.5 s"):
        await run(program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; sleep 60"), seconds=0.5)
    child = int((tmp_path / "child").read_text())
    until(lambda: not _runs(child))
    assert time.monotonic() - began < 30


def _runs(pid: int) -> bool:
    try:
        return "sleep" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


async def test_a_command_whose_check_is_cancelled_is_killed(tmp_path: Path) -> None:
    asking = asyncio.create_task(run(program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")))
    await asyncio.to_thread(until, lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not _runs(int((tmp_path / "pid").read_text()))


async def test_a_command_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UnresolvedReference, match="cannot be started"):
        await run(f"command:{tmp_path}/missing")
    with pytest.raises(UnresolvedReference, match="begins with a dash"):
        await run(program(tmp_path, "echo x") + " {tenant}", tenant_id="-rf")


async def test_a_client_is_loaded_with_everything_read_again(tmp_path: Path) -> None:
    """The token comes from the command, the rest from where it is kept; a new token is not a new credential."""
    (tmp_path / "token").write_text("first")
    oauth = OAuthConfig("env:ID", program(tmp_path, f"cat {tmp_path}/token"), Grant.CUSTOM, organization="4242")
    config = CredentialConfig("Gem", CredentialKind.HARVEST_OAUTH, "env:SECRET", None, oauth)
    loader = CredentialLoader(b"k" * 32, 10, {"ID": "id-1", "SECRET": "secret-1", "PATH": os.environ["PATH"]})
    first = await loader.load("acme", config)
    (tmp_path / "token").write_text("second")
    second = await loader.load("acme", config)
    assert isinstance(first, OAuthClient)
    assert isinstance(second, OAuthClient)
    assert (first.token, second.token) != (None, None)
    assert [client.token.reveal() for client in (first, second) if client.token] == ["first", "second"]
    assert loader.fingerprint(first) == loader.fingerprint(second)
    assert "secret-1" not in repr(first)
