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

_FILE = "file:"
_SQLITE = b"SQLite format 3\0"
_MOST_FILES = 1000  # of a folder that are looked at for copies of the database
_READ = stat.S_IROTH
_WRITE = stat.S_IWOTH


def of_installation(settings: Settings, environ: Mapping[str, str]) -> Iterator[HealthFinding]:
    """Findings about the database with its copies, the installation's key, settings, secrets in them, and tenants."""
    database = _sqlite_file(settings)
    stored = [*(_database_files(database) if database else ()), *_key_files(settings, database)]
    yield from _files(DoctorArea.DATABASE, stored, _READ | _WRITE)
    yield from _out_of_reach(_beside(database) if database else ())
    config = [Path(environ[CONFIG])] if environ.get(CONFIG) else []
    holds_password = any(map(_has_password, config_file(environ).values()))
    yield from _files(DoctorArea.SETTINGS, config, _READ | _WRITE if holds_password else _WRITE)
    referenced = _referenced(environ)
    yield from _files(DoctorArea.SETTINGS, referenced, _READ | _WRITE)
    yield from _files(DoctorArea.TENANTS, [settings.tenants], _WRITE)
    yield from folders_of(DoctorArea.DATABASE, stored)
    yield from folders_of(DoctorArea.SETTINGS, [*config, *referenced, settings.tenants])


def of_secret(reference: str, tenant: str, credential: str) -> Iterator[HealthFinding]:
    """Whether every user can read or write the file of one `file:` reference of a tenant."""
    yield from _files(DoctorArea.CREDENTIALS, paths_in([reference]), _READ | _WRITE, tenant, credential)


def paths_in(references: Iterable[str]) -> list[Path]:
    return [Path(text.removeprefix(_FILE)) for text in references if text.startswith(_FILE)]


def folders_of(area: DoctorArea, files: Iterable[Path]) -> Iterator[HealthFinding]:
    """A finding for each folder in which every user can put another file into the place of one of these."""
    for folder in dict.fromkeys(path.parent for path in files if os.path.isfile(path)):
        # With the sticky bit, as /tmp has it, nobody can do that.
        if _mode(folder) & _WRITE and not _mode(folder) & stat.S_ISVTX:
            problem = f"every user of this machine can replace files in the folder {folder}"
            yield HealthFinding(area, problem, f"chmod o-w {folder}")


def key_is_exposed(settings: Settings) -> bool:
    return any(_mode(path) & (_READ | _WRITE) for path in _key_files(settings, _sqlite_file(settings)))


def _sqlite_file(settings: Settings) -> Path | None:
    return Path(settings.database.database or "") if settings.database.get_backend_name() == "sqlite" else None


def _database_files(database: Path) -> Iterator[Path]:
    """The database, what SQLite keeps beside it, and copies of it in the same folder."""
    yield from _beside(database)
    try:
        beside = sorted(islice(database.parent.iterdir(), _MOST_FILES))
    except OSError:
        return
    for path in beside:
        if not path.name.startswith(database.name) or ".replaced-" in path.name:
            # `db backup --with-key` puts the key beside its copy.
            yield from [path, path.with_name(f"{path.name}.key")] if _is_sqlite(path) else []


def _beside(database: Path) -> list[Path]:
    return [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _is_sqlite(path: Path) -> bool:
    try:
        if not os.path.isfile(path):  # a named pipe would make us wait
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
    given = [value for name, value in environ.items() if name.startswith(PREFIX)]
    return paths_in(text for text in (*given, *config_file(environ).values()) if isinstance(text, str))


def _files(
    area: DoctorArea, files: Iterable[Path], bits: int, tenant: str | None = None, credential: str | None = None
) -> Iterator[HealthFinding]:
    """One finding for all of these files that every user can read or write."""
    found = {path: _mode(path) & bits for path in files if os.path.isfile(path) and _mode(path) & bits}
    if not found:
        return
    reads, writes = (any(mode & bit for mode in found.values()) for bit in (_READ, _WRITE))
    words = " and ".join([*(["read"] if reads else []), *(["write"] if writes else [])])
    problem = f"every user of this machine can {words} {', '.join(map(str, found))}"
    chmod = f"chmod o-{'r' * reads}{'w' * writes} {' '.join(map(str, found))}"
    yield HealthFinding(area, problem, chmod, tenant, credential)


def _out_of_reach(files: Iterable[Path]) -> Iterator[HealthFinding]:
    for path in files:
        if os.path.isfile(path) and not _writable(path):
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
