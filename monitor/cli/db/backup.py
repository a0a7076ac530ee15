"""`db backup|restore` for SQLite; with Postgres they name Postgres' own tools."""

import shutil
from dataclasses import asdict
from pathlib import Path

import typer

from monitor.atomic_file import atomic_file
from monitor.cli.console import print_json, tell
from monitor.cli.database import who
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.database_address import place
from monitor.errors import ConfigurationError, StoreError
from monitor.notices.wording import counted
from monitor.store.backup import back_up, restore_backup
from monitor.tenants.fingerprint_key import key_path

BACKUP_EXAMPLE = "Example: harvest-monitor db backup /backup/monday.sqlite3 --with-key"
RESTORE_EXAMPLE = "Example: harvest-monitor db restore /backup/monday.sqlite3"
AsJson = typer.Option(False, "--json", help="Print one JSON document.")


def backup(
    file: Path = typer.Argument(help="The file to write the copy to."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the file if it exists."),
    with_key: bool = typer.Option(False, "--with-key", help="Also copy the installation's key to FILE.key."),
    as_json: bool = AsJson,
) -> None:
    """Copy the SQLite file, also while the service runs; the copy is read back and checked."""
    settings = settings_loader.load()
    database = _sqlite(settings, "pg_dump --format=custom --file={file} --username=… {address}", file)
    key = _copy_key(key_path(settings), file.with_name(f"{file.name}.key"), overwrite) if with_key else None
    copied = back_up(database, file, overwrite=overwrite)
    if as_json:
        print_json({**asdict(copied), "key": key})
        return
    typer.echo(f"backed up to {copied.file} ({copied.bytes:,} bytes, read back and complete)")
    if key is not None:
        typer.echo(f"and the installation's key to {key}")
    else:
        tell(
            f"Back up {key_path(settings)} as well, or add --with-key: with another key every credential looks replaced"
        )


def restore(file: Path = typer.Argument(help="A copy that `db backup` made."), as_json: bool = AsJson) -> None:
    """Replace the SQLite file with a copy; the old file is kept under another name. Stop the service first."""
    settings = settings_loader.load()
    database = _sqlite(settings, "pg_restore --clean --if-exists --username=… --dbname={address} {file}", file)
    restored = restore_backup(file, database, who(), utc_now())
    if as_json:
        print_json(asdict(restored))
        return
    typer.echo(f"restored {file} to {restored.file}")
    if restored.put_aside is not None:
        typer.echo(f"the previous database is now {restored.put_aside}")
    if restored.held:
        tell(
            f"held: {counted(restored.held, 'notice')} that waited to be sent and may have been sent since the "
            "backup. Run `harvest-monitor notices list --status held`, then release or drop them"
        )


def _sqlite(settings: Settings, on_postgres: str, file: Path) -> Path:
    url = settings.database
    if url.get_backend_name() == "sqlite":
        return Path(url.database or "")
    # Only where it is: user, password and options may hold secrets, and this is printed.
    address = f"postgresql://{place(url)}"
    raise StoreError(f"this is for SQLite; with Postgres use: {on_postgres.format(file=file, address=address)}")


def _copy_key(key: Path, target: Path, overwrite: bool) -> Path:
    try:
        with atomic_file(target, overwrite=overwrite) as copied:
            shutil.copyfile(key, copied)
    except FileExistsError:
        raise ConfigurationError(f"{target} already exists: name another file, or add --overwrite") from None
    except OSError as problem:
        raise ConfigurationError(f"the key {key} cannot be copied to {target} ({problem.strerror})") from None
    return target
