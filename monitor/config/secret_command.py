"""Runs an operator's program that prints a secret (`command:/path ARGUMENT…`): no shell, limited time and output."""

import asyncio
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from checks.file_errors import may_pass
from checks.text_file import without_mark
from monitor.errors import SourceFailed, UnresolvedReference

TENANT = "{tenant}"
TENANT_VARIABLE = "HARVEST_MONITOR_TENANT"
_MAX_OUTPUT_BYTES = 16 * 1024
_PASSED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_COMMAND = re.compile(r"/[\x21-\x7e]+( [\x21-\x7e]+)*")


def is_command(rest: str) -> bool:
    """An absolute path, and arguments separated by single spaces; nothing is quoted or expanded."""
    return bool(_COMMAND.fullmatch(rest)) and len(rest) <= 1000


async def output_of(reference: str, tenant_id: str, environ: Mapping[str, str], timeout_seconds: float) -> str:
    """The one line it prints. SourceFailed if it gives none this time; UnresolvedReference if it can never work."""
    argv = reference.removeprefix("command:").split(" ")
    if TENANT in argv and tenant_id.startswith("-"):
        raise UnresolvedReference(
            f"{reference}: the tenant's id begins with a dash and would be read as an option: read it from the "
            f"variable {TENANT_VARIABLE} instead"
        )
    arguments = [tenant_id if part == TENANT else part for part in argv]
    process = await _start(reference, arguments, _environment_for(tenant_id, environ))
    try:
        async with asyncio.timeout(timeout_seconds):
            printed = await _read(process)
            # A program that prints without end does not exit by itself.
            status = 0 if len(printed) > _MAX_OUTPUT_BYTES else await process.wait()
    except TimeoutError:
        raise SourceFailed(
            f"{reference}: the command printed nothing within {timeout_seconds:g} s and was killed: see why it hangs"
        ) from None
    finally:
        _kill(process)
        # Unread output would keep the pipe open, and process.wait() would never return; asyncio has no public way to
        # close it.
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
    return _single_line(reference, printed, status)


def _environment_for(tenant_id: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Only these variables: the service's own environment may hold keys of other tenants."""
    return {name: environ[name] for name in _PASSED_VARIABLES if name in environ} | {TENANT_VARIABLE: tenant_id}


async def _start(reference: str, arguments: list[str], environment: dict[str, str]) -> Process:
    try:
        # stderr is dropped, since it may contain the secret; the new session lets `_kill` reach whatever it starts.
        return await asyncio.create_subprocess_exec(
            *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment, cwd="/", start_new_session=True
        )
    except OSError as problem:
        if may_pass(problem):
            raise SourceFailed(
                f"{reference}: the command could not be started right now ({problem.strerror}): if this lasts, see to "
                "this machine's memory and its limits of processes and open files"
            ) from None
        raise UnresolvedReference(
            f"{reference}: the command cannot be started ({problem.strerror}): correct the path, or allow the "
            "service's user to run it"
        ) from None


async def _read(process: Process) -> bytes:
    """At most a little more than a secret can have; a program that prints endlessly is cut off."""
    assert process.stdout is not None
    printed = b""
    while len(printed) <= _MAX_OUTPUT_BYTES and (more := await process.stdout.read(_MAX_OUTPUT_BYTES)):
        printed += more
    return printed


def _kill(process: Process) -> None:
    """Kills it and everything it started, which may hold its output open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _single_line(reference: str, printed: bytes, status: int) -> str:
    if len(printed) > _MAX_OUTPUT_BYTES:
        raise UnresolvedReference(
            f"{reference}: the command prints more than {_MAX_OUTPUT_BYTES} bytes: it must print one line"
        )
    if status != 0:
        raise SourceFailed(
            f"{reference}: the command ended with status {status}: run it yourself as the service's user"
        )
    # latin-1 decodes any bytes; what cannot be a secret is refused by its type, whose error does not show it.
    lines = without_mark(printed).decode("latin-1").splitlines()
    if not any(map(str.strip, lines)):
        raise SourceFailed(f"{reference}: the command printed nothing: run it yourself as the service's user")
    if len(lines) != 1:
        raise UnresolvedReference(
            f"{reference}: the command prints {len(lines)} lines: it must print one, with only the secret"
        )
    return lines[0]
