"""`db upgrade|prune|accept-key`; the other `db` commands are in `check` and `backup`."""

import asyncio
from collections.abc import Mapping

import typer

from monitor.cli.command_tree import CommandTree
from monitor.cli.console import print_json, print_table
from monitor.cli.database import moment, who, with_database
from monitor.cli.db import backup
from monitor.cli.db import check as db_check
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.config.retention import Keep, KeepRule
from monitor.config.settings import Settings
from monitor.store.database import Database
from monitor.tenants import fingerprint_key_queries
from monitor.tenants.fingerprint_key import existing_key, installation_key, key_check
from monitor.upkeep.audit.chain import AuditKey
from monitor.upkeep.audit.history_pruner import HistoryPruner
from monitor.upkeep.pruner import Pruner

app = CommandTree(
    help="Check, back up, prune and upgrade the database.",
    epilog="Example: harvest-monitor db check",
    no_args_is_help=True,
)
app.command("check", epilog=db_check.EXAMPLE)(db_check.check)
app.command("backup", epilog=backup.BACKUP_EXAMPLE)(backup.backup)
app.command("restore", epilog=backup.RESTORE_EXAMPLE)(backup.restore)


@app.command(epilog="Example: harvest-monitor db upgrade --config /etc/harvest-monitor.toml")
def upgrade() -> None:
    """Upgrade the tables to this release; with SQLite this also happens at every start."""

    async def act() -> None:
        db = Database(settings_loader.load().database)
        try:
            await db.migrate()
        finally:
            await db.close()

    asyncio.run(act())
    typer.echo("the tables are up to date")


@app.command("accept-key", epilog="Example: harvest-monitor db accept-key --reason 'the old one was on the lost disk'")
def accept_key(reason: str = typer.Option(..., help="What happened to the old key; recorded with your name.")) -> None:
    """Accept another installation key, because the right one is lost; every credential looks replaced, once."""

    async def act(db: Database, settings: Settings) -> None:
        check = key_check(installation_key(settings))
        async with db.writing() as conn:
            await fingerprint_key_queries.accept_key(conn, check, who(), reason, utc_now())

    with_database(act)
    typer.echo("the key is accepted; start the service")


@app.command(epilog="Example: harvest-monitor db prune --dry-run")
def prune(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only count what has expired."),
    vacuum: bool = typer.Option(
        False, "--vacuum", help="Afterwards return free space to the disk; a running service waits meanwhile."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Delete expired data now; `serve` does this every hour."""
    now = utc_now()

    async def act(db: Database, settings: Settings) -> tuple[Keep, Mapping[KeepRule, int]]:
        keep = Keep.of(settings)
        pruner = Pruner(db, keep, history_pruner=await _history_pruner(db, settings))
        if dry_run:
            return keep, await pruner.stale(now)
        rows = await pruner.run_once(now)
        if vacuum:
            await db.vacuum()
        return keep, rows

    keep, rows = with_database(act)
    before = keep.before(now)
    if as_json:
        rules = [{"rule": rule, "before": before[rule], "rows": rows[rule]} for rule in before]
        print_json({"dry_run": dry_run, "rules": rules})
        return
    print_table(
        ["WHAT", "OLDER THAN", "WOULD BE REMOVED" if dry_run else "REMOVED"],
        [(rule, moment(before[rule]), str(rows[rule])) for rule in before],
        empty="nothing can expire",
    )


async def _history_pruner(db: Database, settings: Settings) -> HistoryPruner | None:
    """None without a key of the installation: nothing is signed yet. With history kept for ever it is not asked for."""
    key = None if settings.keep_history is None else await existing_key(db, settings)
    return None if key is None else HistoryPruner(db, AuditKey.derived(key))
