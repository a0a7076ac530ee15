"""A program of the operator that gives a secret: `command:/path ARGUMENT…`, without a shell, bounded in all it does."""

import asyncio
import errno
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

from monitor.errors import SourceFailed, UnresolvedReference

TENANT = "{tenant}"
TENANT_VARIABLE = "HARVEST_MONITOR_TENANT"
_MOST_OUTPUT = 16 * 1024
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY})
_SECRET = re.compile(r"[0-9A-Fa-f]{20,}(-[0-9]+)?|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+")
_SHAPE = re.compile(r"/[\x21-\x7e]+( [\x21-\x7e]+)*")


def is_command(rest: str) -> bool:
    """An absolute path, and arguments with one blank between them; nothing in it is quoted or expanded.

    What looks like a key or a token is no argument: it would stand in the database and in the list of processes.
    """
    shaped = bool(_SHAPE.fullmatch(rest)) and len(rest) <= 1000
    return shaped and not any(_SECRET.fullmatch(part) for part in rest.split(" "))


async def output_of(reference: str, tenant_id: str, environ: Mapping[str, str], timeout_seconds: float) -> str:
    """The one line it prints. SourceFailed where it hangs or fails; UnresolvedReference where it can not be right."""
    argv = reference.removeprefix("command:").split(" ")
    if TENANT in argv and tenant_id.startswith("-"):
        raise UnresolvedReference(
            f"{reference}: the tenant's id begins with a dash and would be read as an option: take it from the "
            f"variable {TENANT_VARIABLE} instead"
        )
    arguments = [tenant_id if part == TENANT else part for part in argv]
    process = await _started(reference, arguments, _surroundings(tenant_id, environ))
    try:
        async with asyncio.timeout(timeout_seconds):
            printed = await _read(process)
            status = 0 if len(printed) > _MOST_OUTPUT else await process.wait()
    except TimeoutError:
        raise SourceFailed(
            f"{reference}: the command gave nothing within {timeout_seconds:g} s and was ended: see why it hangs"
        ) from None
    finally:
        _end(process)
        # What it had printed and nobody read would keep the pipe open, and the wait for it without end; asyncio has no
        # public way to close it.
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
    return _line(reference, printed, status)


def _surroundings(tenant_id: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the service's own environment, which may hold keys of other tenants."""
    return {name: environ[name] for name in _PASSED_ON if name in environ} | {TENANT_VARIABLE: tenant_id}


async def _started(reference: str, arguments: list[str], surroundings: dict[str, str]) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=surroundings, cwd="/", start_new_session=True
        )
    except OSError as problem:
        if problem.errno in _PASSING:
            raise SourceFailed(f"{reference}: the command could not be started just now ({problem.strerror})") from None
        raise UnresolvedReference(
            f"{reference}: the command can not be started ({problem.strerror}): correct the path, or let the "
            "service's user run it"
        ) from None


async def _read(process: Process) -> bytes:
    """As much as a secret can have, and a little more; who prints without end is not listened to for longer."""
    assert process.stdout is not None
    printed = b""
    while len(printed) <= _MOST_OUTPUT and (more := await process.stdout.read(_MOST_OUTPUT)):
        printed += more
    return printed


def _end(process: Process) -> None:
    """With all that it has started, which may hold its output open."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _line(reference: str, printed: bytes, status: int) -> str:
    if len(printed) > _MOST_OUTPUT:
        raise UnresolvedReference(f"{reference}: the command prints more than {_MOST_OUTPUT} bytes: one line is wanted")
    if status != 0:
        raise SourceFailed(f"{reference}: the command ended with status {status}: run it by hand as the service's user")
    lines = printed.decode("latin-1").splitlines()
    if len(lines) != 1:
        raise UnresolvedReference(
            f"{reference}: the command prints {len(lines)} lines: let it print one, with the secret alone"
        )
    return lines[0]
