"""The installation's own key, which fingerprints of secrets are made with; made on first use, and always the same."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from monitor.atomic_file import atomic_file
from monitor.config.settings import INSTALLATION_KEY_NEEDED, Settings
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.tenants import fingerprint_key_queries as stored

_BYTES = 32
_BY_HAND = "openssl rand -hex 32"
_PUT_BACK = (
    "put the right one back from your backup. Should it be lost, `harvest-monitor db accept-key` goes on without it; "
    "every credential then looks replaced, once"
)


def installation_key(settings: Settings) -> bytes:
    """The key in its file, which is made if there is none; processes that start at once all get the same.

    ConfigurationError where the file can't be made or read, may be read or written by every user, or holds no key.
    """
    path = key_path(settings)
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as problem:
        raise ConfigurationError(
            f"{path}: the installation's key can not be made or read ({problem.strerror}): let the service's user "
            f"write there once, or make it yourself ({_BY_HAND} > {path}; chmod 600 {path}) and set "
            "HARVEST_MONITOR_INSTALLATION_KEY to it"
        ) from None


async def noted_key(db: Database, settings: Settings, now: datetime) -> bytes:
    """The key, which this database has known since it was first used with it.

    ConfigurationError where it is another one, or gone: with a new one every credential would look replaced.
    """
    key = await known_key(db, settings)
    if key is None:
        key = installation_key(settings)
        async with db.writing() as conn:
            known = await stored.note_key(conn, key_check(key), now)
        _insist_on_known(known, key, db, settings)
    return key


async def known_key(db: Database, settings: Settings) -> bytes | None:
    """As `noted_key`, but nothing is made or noted; None where the database was never used with a key."""
    async with db.reading() as conn:
        known = await stored.key_check(conn)
    path = key_path(settings)
    if known is None:
        return None
    if not path.exists():
        raise ConfigurationError(f"{path}: the installation's key is not there: {_PUT_BACK}")
    key = installation_key(settings)
    _insist_on_known(known, key, db, settings)
    return key


def _insist_on_known(known: str | None, key: bytes, db: Database, settings: Settings) -> None:
    if known != key_check(key):
        raise ConfigurationError(
            f"{key_path(settings)}: this is not the key that the fingerprints in {db.name} were made with: {_PUT_BACK}"
        )


def key_check(key: bytes) -> str:
    """What a key is known by in the database: it tells two keys apart, and nothing else of them."""
    return hmac.new(key, b"harvest-monitor installation key", hashlib.sha256).hexdigest()[:16]


def key_path(settings: Settings) -> Path:
    """Where the key is, by the setting or beside the SQLite file; ConfigurationError with Postgres and no setting."""
    if settings.installation_key is not None:
        return settings.installation_key
    if not settings.database.drivername.startswith("sqlite"):
        raise ConfigurationError(INSTALLATION_KEY_NEEDED)
    return Path(settings.database.database or "").parent / "harvest-monitor.key"


def _make(path: Path) -> None:
    with suppress(FileExistsError), atomic_file(path, overwrite=False) as made:
        made.write_text(secrets.token_hex(_BYTES) + "\n", "ascii")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(1024).decode("latin-1").strip()
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigurationError(f"{path}: every user of this machine can read or write the key: chmod 600 {path}")
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * _BYTES},}}", text) or len(text) % 2:
        raise ConfigurationError(
            f"{path}: this is no installation key ({2 * _BYTES} hex digits or more): restore it from your backup; "
            "with a new key every credential looks replaced"
        )
    return bytes.fromhex(text)
