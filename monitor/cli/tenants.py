"""`tenants …`: `days` and `sync`, beside the commands that have files of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import typer

from monitor.assembly import Assembly
from monitor.checking.check_document import ExitStatus
from monitor.cli import recheck, tenant_list, tenant_show, v3_migration
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import complain, on_terminal, print_json, print_table
from monitor.cli.database import with_database, with_new_database
from monitor.cli.history import parse_since
from monitor.cli.tenant_ids import tenant_ids
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants.sync_queries import Synced
from monitor.upkeep import check_days_queries
from monitor.upkeep.check_days import Day
from monitor.version import VERSION

app = CommandTree(
    help="Show how tenants stand, have them checked, or load the tenants file into the database.",
    epilog="Example: harvest-monitor tenants list",
    no_args_is_help=True,
)
AsJson = typer.Option(False, "--json", help="Print one JSON document.")

app.command("list", epilog=tenant_list.EXAMPLE)(tenant_list.command)
app.command("show", epilog=tenant_show.EXAMPLE)(tenant_show.command)
app.command("recheck", epilog=recheck.EXAMPLE)(recheck.command)
app.command("migration", epilog=v3_migration.EXAMPLE)(v3_migration.command)


@app.command(epilog="Example: harvest-monitor tenants days acme --since 2026-03-01")
def days(
    tenant: str = typer.Argument(autocompletion=tenant_ids, help="The tenant's id; also that of a removed tenant."),
    since: str = typer.Option("30d", metavar="WHEN", help="First day: 2026-03-01, or 90d for the last 90 days."),
    as_json: bool = AsJson,
) -> int:
    """Show a tenant day by day (UTC): its checks, their outcomes, and the worst state of the day."""
    now = utc_now()
    first = parse_since(since, now).date()

    async def query(db: Database, _: Settings) -> dict[str, list[Day]]:
        async with db.reading() as conn:
            return await check_days_queries.of_tenant(conn, tenant, first, now.date())

    found = with_database(query)
    if not found:
        complain(f"no tenant {tenant!r} was ever recorded; `harvest-monitor tenants list` shows all tenants")
        return ExitStatus.USAGE
    if as_json:
        credentials = [
            {"label": label, "days": [_day_document(day) for day in theirs]} for label, theirs in found.items()
        ]
        print_json({"tenant": tenant, "credentials": credentials})
    else:
        _show_days(found)
    return ExitStatus.COMPLIANT


@app.command(epilog="Example: harvest-monitor tenants sync --any-removal")
def sync(
    any_removal: bool = typer.Option(
        False, "--any-removal", help="Remove tenants that the file no longer has, however many."
    ),
) -> None:
    """Load the tenants file into the database now, as `serve` does when the file changes."""

    async def act(db: Database, settings: Settings) -> Synced:
        return await Assembly(settings).tenant_sync(db, Metrics(VERSION)).load(utc_now(), any_removal=any_removal)

    synced = with_new_database(act)
    typer.echo(f"{synced.added} added, {synced.changed} changed, {synced.removed} removed")


def _show_days(found: Mapping[str, Sequence[Day]]) -> None:
    """On a terminal without what every line would repeat: the label of the only credential, and noughts."""
    rows = [(str(day.day), label, *_day_cells(day)) for label, theirs in found.items() for day in theirs]
    if on_terminal():
        only = len(found) == 1
        rows = [
            (day, "" if only else label, *("" if one == "0" else one for one in more)) for day, label, *more in rows
        ]
    print_table(
        ["DAY", "CREDENTIAL", "CHECKS", "DRIFTED", "UNDECIDED", "FAILED", "STATE", "GRANTED", "MISSING", "REQUESTS"],
        rows,
        empty="no checks since then",
    )


def _day_document(day: Day) -> dict[str, Any]:
    document = asdict(day)
    del document["credential_id"]
    return document


def _day_cells(day: Day) -> list[str]:
    counts = [day.checks, day.drifted, day.undecided, day.failed]
    permissions = ["" if count is None else str(count) for count in (day.least_granted, day.most_missing)]
    return [*map(str, counts), day.state, *permissions, str(day.requests)]
