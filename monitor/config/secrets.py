"""References to secrets: `env:NAME`, `file:/absolute/path`, and for credentials also `command:/path ARGUMENT…`.

Only the reference is ever stored.
"""

import asyncio
import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache

import structlog

from checks.credential import Secret
from checks.errors import CredentialError
from checks.file_errors import may_pass
from checks.text_file import without_mark
from monitor.config import secret_command
from monitor.config.command_arguments import secret_in
from monitor.errors import ConfigurationError, SourceFailed, UnresolvedReference

KNOWN_KINDS = "env:NAME and file:/absolute/path"
_MAX_FILE_BYTES = 16 * 1024  # a token has 8192 characters at most
_KIND = re.compile(r"([a-z]+):(.*)", re.DOTALL)
_RESERVED_KINDS = ("sealed",)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PATH = re.compile(r"/(?!/)[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,1023}")
_KEY_SHAPE = re.compile(r"[0-9A-Fa-f]{20,}(-[0-9]+)?")

_log = structlog.get_logger()


def is_reference(text: str) -> bool:
    """Whether the text starts like a reference; no address of a server or a database does."""
    return text.startswith(("env:", "file:"))


def check_credential_reference(reference: str) -> None:
    """Like `check_reference`, for the tenants file, where a reference may also be a command."""
    kind, _, rest = reference.partition(":")
    if kind != "command":
        check_reference(reference)
    elif not secret_command.is_command(rest):
        raise ConfigurationError(
            "command: takes the absolute path of a program and its arguments, separated by single spaces and without "
            "quotes, such as command:/usr/local/bin/token {tenant}; no argument may be a secret"
        )
    elif position := secret_in(rest.split(" ")[1:]):
        raise ConfigurationError(
            f"command: its argument {position} looks like a secret, so it is not shown: arguments are stored, and all "
            "users of the machine see them; keep it in a file that the program reads, or call a script that does"
        )


def check_reference(reference: str) -> None:
    """ConfigurationError unless the text has the form of a reference, whether or not it can be resolved.

    A text that is not a reference may be the secret itself, so the error never shows it.
    """
    found = _KIND.fullmatch(reference)
    kind, rest = found.groups() if found else ("", "")
    if kind == "command":
        raise ConfigurationError(f"command: references are for credentials only; use {KNOWN_KINDS} here")
    if kind in _RESERVED_KINDS:
        raise ConfigurationError(f"{kind}: references are not supported by this release; use {KNOWN_KINDS}")
    # A key pasted after env: has the form of a variable's name, and would be stored and shown.
    if kind == "env" and _NAME.fullmatch(rest) and not _KEY_SHAPE.fullmatch(rest):
        return
    if kind == "file" and _PATH.fullmatch(rest):
        return
    raise ConfigurationError(_form_problem(kind))


def _form_problem(kind: str) -> str:
    match kind:
        case "env":
            return (
                "env: takes the name of an environment variable (letters, digits and _): write the name, not the secret"
            )
        case "file":
            return "file: takes an absolute path with one leading slash, such as file:/run/secrets/acme"
    return (
        "this is not a reference and may be the secret itself, so it is not shown: keep the secret in the environment "
        f"or in a file and refer to it ({KNOWN_KINDS})"
    )


def resolve_reference(reference: str, *, environ: Mapping[str, str]) -> Secret:
    """The secret that a reference points to, read again on each call.

    UnresolvedReference, or SourceFailed if only this time, names the reference and nothing of the secret.
    """
    text = _read_from(reference, environ)
    try:
        return Secret(text)
    except CredentialError as problem:
        raise UnresolvedReference(f"{reference}: {problem}") from None


async def resolve_credential_reference(
    reference: str, *, tenant_id: str, environ: Mapping[str, str], command_seconds: float, replacing_seconds: float
) -> str:
    """The unchecked text that a credential's reference points to.

    SourceFailed if it could not be read this time, UnresolvedReference if it cannot be. Of a file the second attempt
    decides, so many seconds after the first: while a file is replaced, it may be missing, locked or empty.
    """
    if reference.startswith("command:"):
        check_credential_reference(reference)
        return await secret_command.output_of(reference, tenant_id, environ, command_seconds)
    try:
        return _read_from(reference, environ)
    except UnresolvedReference:
        if not reference.startswith("file:"):
            raise
    await asyncio.sleep(replacing_seconds)
    return _read_from(reference, environ)


def _read_from(reference: str, environ: Mapping[str, str]) -> str:
    check_reference(reference)
    kind, _, rest = reference.partition(":")
    return _from_environment(rest, environ) if kind == "env" else _from_file(rest)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    try:
        return environ[name]
    except KeyError:
        raise UnresolvedReference(
            f"env:{name}: the environment variable is not set: set it where the service is started, or correct the name"
        ) from None


def _from_file(path: str) -> str:
    try:
        raw, mode = _read(path)
    except OSError as problem:
        raise _unread(path, problem) from None
    if not stat.S_ISREG(mode):
        raise UnresolvedReference(f"file:{path}: this is not a regular file: name the file that holds the secret")
    if len(raw) > _MAX_FILE_BYTES:
        raise UnresolvedReference(
            f"file:{path}: the file is longer than {_MAX_FILE_BYTES} bytes: it must hold only the secret"
        )
    if mode & stat.S_IROTH:
        _warn_world_readable(path)
    # A drive may show zeros where what was written has not arrived yet.
    text = without_mark(raw)
    if not text.strip(b"\0 \t\r\n\v\f"):
        raise SourceFailed(
            f"file:{path}: the file is empty, perhaps because it is being written: if it stays empty, write the secret "
            "into it"
        )
    return text.decode("latin-1").rstrip("\r\n")


def _unread(path: str, problem: OSError) -> UnresolvedReference:
    if may_pass(problem):
        return SourceFailed(
            f"file:{path}: the file cannot be read right now ({problem.strerror}): if this lasts, see to the drive it "
            "is on, and to this machine's memory and limit of open files"
        )
    return UnresolvedReference(
        f"file:{path}: the file cannot be read ({problem.strerror}): correct the path, or allow the service's user to "
        "read it"
    )


def _read(path: str) -> tuple[bytes, int]:
    # Without O_NONBLOCK, a named pipe would block the event loop until somebody writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(handle).st_mode
        return (os.read(handle, _MAX_FILE_BYTES + 1) if stat.S_ISREG(mode) else b""), mode
    finally:
        os.close(handle)


# The cache makes it one warning for each file, not one for each check.
@lru_cache(maxsize=10_000)
def _warn_world_readable(path: str) -> None:
    _log.warning("found_secret_file_readable_by_all", path=path, next_step=f"chmod o-r {path}")
