"""The installation's key, with which fingerprints of secrets are made; created on first use and then never changed."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from checks.file_errors import may_pass
from checks.text_file import without_mark
from monitor.atomic_file import atomic_file
from monitor.config.settings import INSTALLATION_KEY_NEEDED, Settings
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.tenants import fingerprint_key_queries

_BYTES = 32
_MAKE_COMMAND = "openssl rand -hex 32"
_RESTORE_HINT = (
    "restore the right one from your backup. If it is lost, `harvest-monitor db accept-key` continues with a new one; "
    "every credential then looks replaced, once"
)


def installation_key(settings: Settings) -> bytes:
    """The key in its file, which is created if missing; processes that start at the same time get the same key.

    ConfigurationError if the file cannot be created or read, every user can read or write it, or it holds no key.
    """
    path = key_path(settings)
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as problem:
        if may_pass(problem):
            raise _unread(path, problem) from None
        raise ConfigurationError(
            f"{path}: the installation's key cannot be created or read ({problem.strerror}): allow the service's "
            f"user to write there once, or create it yourself ({_MAKE_COMMAND} > {path}; chmod 600 {path}) and set "
            "HARVEST_MONITOR_INSTALLATION_KEY to it"
        ) from None


async def registered_key(db: Database, settings: Settings, now: datetime) -> bytes:
    """The key, registered in this database at its first use.

    ConfigurationError if the file has another key or is missing: with a new key every credential would look replaced.
    """
    key = await existing_key(db, settings)
    if key is None:
        key = installation_key(settings)
        async with db.writing() as conn:
            registered = await fingerprint_key_queries.register_key(conn, key_check(key), now)
        # Another process may have been faster, with a key of its own.
        _require_same_key(registered, key, db, settings)
    return key


async def existing_key(db: Database, settings: Settings) -> bytes | None:
    """Like `registered_key`, but creates and registers nothing; None if no key has been registered yet."""
    async with db.reading() as conn:
        registered = await fingerprint_key_queries.key_check(conn)
    if registered is None:
        return None
    key = _registered_before(key_path(settings))
    _require_same_key(registered, key, db, settings)
    return key


def _registered_before(path: Path) -> bytes:
    try:
        return _read(path)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: the installation's key is missing: {_RESTORE_HINT}") from None
    except OSError as problem:
        if may_pass(problem):
            raise _unread(path, problem) from None
        raise ConfigurationError(
            f"{path}: the installation's key cannot be read ({problem.strerror}): allow the service's user to read it"
        ) from None


def _unread(path: Path, problem: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: the installation's key cannot be created or read right now ({problem.strerror}): leave the file as "
        "it is, see to the drive it is on and to this machine's memory and limit of open files, and start again"
    )


def _require_same_key(registered: str | None, key: bytes, db: Database, settings: Settings) -> None:
    if registered != key_check(key):
        raise ConfigurationError(
            f"{key_path(settings)}: this is not the key that made the fingerprints in {db.name}: {_RESTORE_HINT}"
        )


def key_check(key: bytes) -> str:
    """A digest to tell keys apart, stored in the database; it reveals nothing about the key."""
    return hmac.new(key, b"harvest-monitor installation key", hashlib.sha256).hexdigest()[:16]


def key_path(settings: Settings) -> Path:
    """The key's file: by the setting, or beside the SQLite file; ConfigurationError with Postgres and no setting."""
    if settings.installation_key is not None:
        return settings.installation_key
    if not settings.database.drivername.startswith("sqlite"):
        raise ConfigurationError(INSTALLATION_KEY_NEEDED)
    return Path(settings.database.database or "").parent / "harvest-monitor.key"


def _make(path: Path) -> None:
    with suppress(FileExistsError), atomic_file(path, overwrite=False) as file:
        file.write_text(secrets.token_hex(_BYTES) + "\n", "ascii")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = without_mark(file.read(1024)).decode("latin-1").strip()
    # The group may read it: on Kubernetes, files of secrets are read by group (mode 0440).
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigurationError(f"{path}: every user of this machine can read or write the key: chmod 600 {path}")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * _BYTES},}}", text) or len(text) % 2:
        raise ConfigurationError(
            f"{path}: this is not an installation key ({2 * _BYTES} hex digits or more): restore it from your backup; "
            "with a new key every credential looks replaced"
        )
    return bytes.fromhex(text)
