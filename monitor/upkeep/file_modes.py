"""Which users of this machine can read or write the files of an installation; reads their modes and nothing in them."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from monitor.config.config_file import CONFIG, config_file
from monitor.config.settings import PREFIX, Settings
from monitor.upkeep.finding import DoctorArea, HealthFinding

_BESIDE_SQLITE = ("", "-wal", "-shm", "-journal")
_SQLITE = b"SQLite format 3\0"
_MOST_FILES = 1000  # of a folder that are looked at for copies of the database
_READ = stat.S_IROTH
_WRITE = stat.S_IWOTH


def of_installation(settings: Settings, environ: Mapping[str, str]) -> Iterator[HealthFinding]:
    """Findings about the database with its copies, the installation's key, settings, secrets in them, and tenants."""
    database = _sqlite_file(settings)
    if database is not None:
        files = [*_database_files(database)]
        yield from _exposed(DoctorArea.DATABASE, files, _READ | _WRITE)
        yield from _out_of_reach(files)
    yield from _exposed(DoctorArea.DATABASE, _key_files(settings, database), _READ | _WRITE)
    config = [Path(environ[CONFIG])] if environ.get(CONFIG) else []
    holds_password = any(map(_has_password, config_file(environ).values()))
    yield from _exposed(DoctorArea.SETTINGS, config, _READ | _WRITE if holds_password else _WRITE)
    yield from _exposed(DoctorArea.SETTINGS, _referenced(environ), _READ | _WRITE)
    yield from _exposed(DoctorArea.TENANTS, [settings.tenants], _WRITE)


def of_secret(reference: str, tenant: str, credential: str) -> Iterator[HealthFinding]:
    """The same for the file of one `file:` reference of a tenant."""
    path = reference.removeprefix("file:")
    if path != reference:
        yield from _exposed(DoctorArea.CREDENTIALS, [Path(path)], _READ | _WRITE, tenant, credential)


def key_is_exposed(settings: Settings) -> bool:
    return any(_mode(path) & (_READ | _WRITE) for path in _key_files(settings, _sqlite_file(settings)))


def _sqlite_file(settings: Settings) -> Path | None:
    return Path(settings.database.database or "") if settings.database.get_backend_name() == "sqlite" else None


def _database_files(database: Path) -> Iterator[Path]:
    """The database, what SQLite keeps beside it, and copies of it in the same folder."""
    yield from (database.with_name(database.name + suffix) for suffix in _BESIDE_SQLITE)
    try:
        beside = sorted(islice(database.parent.iterdir(), _MOST_FILES))
    except OSError:
        return
    for path in beside:
        if not path.name.startswith(database.name) or ".replaced-" in path.name:
            yield from [path] if _is_sqlite(path) else []


def _is_sqlite(path: Path) -> bool:
    try:
        if not path.is_file():  # a named pipe would make us wait
            return False
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _key_files(settings: Settings, database: Path | None) -> Iterator[Path]:
    if settings.installation_key is not None:
        yield settings.installation_key
    elif database is not None:
        yield database.with_name("harvest-monitor.key")


def _has_password(value: object) -> bool:
    if not isinstance(value, str) or "://" not in value:
        return False
    try:
        return bool(urlsplit(value).password)
    except ValueError:  # an address that nobody can use; loading the settings has said so
        return True


def _referenced(environ: Mapping[str, str]) -> list[Path]:
    """Files that settings refer to as `file:/path`, in the environment or in the settings file."""
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}.values()
    texts = [text for text in (*given, *config_file(environ).values()) if isinstance(text, str)]
    return [Path(text.removeprefix("file:")) for text in texts if text.startswith("file:")]


def _exposed(
    area: DoctorArea, files: Iterable[Path], bits: int, tenant: str | None = None, credential: str | None = None
) -> Iterator[HealthFinding]:
    """One finding for all files that every user can read or write, and one for each folder where all can do that."""
    there = [path for path in dict.fromkeys(files) if path.is_file()]
    open_to_all = [path for path in there if _mode(path) & bits]
    if open_to_all:
        mode = 0
        for path in open_to_all:
            mode |= _mode(path) & bits
        names = ", ".join(map(str, open_to_all))
        problem = f"every user of this machine can {_words(mode)} {names}"
        chmod = f"chmod o-{'r' if mode & _READ else ''}{'w' if mode & _WRITE else ''} {' '.join(map(str, open_to_all))}"
        yield HealthFinding(area, problem, chmod, tenant, credential)
    for folder in dict.fromkeys(path.parent for path in there):
        # With the sticky bit, as /tmp has it, nobody can put another file into the place of one of ours.
        if _mode(folder) & _WRITE and not _mode(folder) & stat.S_ISVTX:
            problem = f"every user of this machine can replace files in the folder {folder}"
            yield HealthFinding(area, problem, f"chmod o-w {folder}", tenant, credential)


def _words(mode: int) -> str:
    return " and ".join(word for bit, word in ((_READ, "read"), (_WRITE, "write")) if mode & bit)


def _out_of_reach(files: Iterable[Path]) -> Iterator[HealthFinding]:
    for path in files:
        if path.is_file() and not _writable(path):
            problem = f"the owner of the folder {path.parent} cannot write {path}, which another user made"
            yield HealthFinding(DoctorArea.DATABASE, problem, f"sudo chown --reference={path.parent} {path}")


def _writable(path: Path) -> bool:
    """By us; for root, who can write everything, by the owner of the folder, which is the service's user."""
    if os.geteuid() != 0:
        return os.access(path, os.W_OK)
    folder = path.parent.stat()
    return folder.st_uid in (0, path.stat().st_uid)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
