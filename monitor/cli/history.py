"""`history`: the drift events as they were recorded, and `history verify`."""

import csv
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime

import typer

from monitor.cli.command_tree import CommandTree
from monitor.cli.console import on_terminal, print_json, print_json_line, print_table
from monitor.cli.database import moment, with_database
from monitor.cli.history_follow import follow
from monitor.cli.history_verify import EXAMPLE as VERIFY_EXAMPLE
from monitor.cli.history_verify import verify
from monitor.cli.tenant_ids import tenant_ids
from monitor.config.setting_types import parse_duration
from monitor.config.settings import Settings
from monitor.drift import EventKind
from monitor.errors import ConfigurationError
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.reporting.csv_cell import inert
from monitor.store.database import Database

_COLUMNS = ("AT", "TENANT", "KIND", "WHAT", "WINDOW")

app = CommandTree(invoke_without_command=True, epilog="Example: harvest-monitor history --tenant acme --since 7d")
app.command("verify", epilog=VERIFY_EXAMPLE)(verify)


@app.callback()
def history(
    context: typer.Context,
    tenant: str | None = typer.Option(None, autocompletion=tenant_ids, help="Only this tenant, by id."),
    since: str | None = typer.Option(
        None, metavar="WHEN", help="From this time on: 2026-11-01, 2026-11-01T08:00, or 7d for the last week."
    ),
    permission: str | None = typer.Option(None, help="Only this permission, by id or label."),
    kind: EventKind | None = typer.Option(None, metavar="KIND", help=f"Only this kind: {', '.join(EventKind)}."),
    limit: int | None = typer.Option(None, min=1, help="At most so many; keeps the newest."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with a header line."),
    follow_on: bool = typer.Option(
        False,
        "--follow",
        help="Print events as they are recorded, until Ctrl-C; those before only with --since or --limit. With --json "
        "one document on each line.",
    ),
) -> None:
    """What changed, for whom, and between which two checks; oldest first."""
    if context.invoked_subcommand is not None:
        return _refuse_options(context)
    if as_json and as_csv:
        raise ConfigurationError("--json and --csv: choose one of them")
    wanted = Wanted(
        tenant_id=tenant,
        since=None if since is None else parse_since(since, datetime.now(UTC)),
        permission=permission,
        kind=kind,
        limit=limit,
    )

    if follow_on:
        return _follow(wanted, as_json, as_csv)

    async def ask(db: Database, _: Settings) -> Sequence[PastEvent]:
        async with db.reading() as conn:
            return await events(conn, wanted)

    found = with_database(ask)
    if as_json:
        print_json({"events": [asdict(event) for event in found]})
    elif as_csv:
        _print_csv_header()
        _print_csv(found)
    else:
        print_table(_COLUMNS, map(_line, found), empty="no matching events")


def _refuse_options(context: typer.Context) -> None:
    """`history --tenant acme verify` would verify everything."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    if any(source is not None and source.name == "COMMANDLINE" for source in sources.values()):
        raise typer.BadParameter(f"options before `{context.invoked_subcommand}` are for `history` alone")


def _follow(wanted: Wanted, as_json: bool, as_csv: bool) -> None:
    if as_csv:
        _print_csv_header()
    elif not as_json:
        sys.stdout.write("\t".join(_COLUMNS) + "\n")
    show: Callable[[Sequence[PastEvent]], None] = (
        _print_json_lines if as_json else _print_csv if as_csv else _print_lines
    )
    with_database(lambda db, _: follow(db, wanted, show))


def _print_json_lines(found: Sequence[PastEvent]) -> None:
    for event in found:
        print_json_line(asdict(event))


def _print_lines(found: Sequence[PastEvent]) -> None:
    """Not aligned: how wide the columns of later events are is not known yet."""
    for event in found:
        sys.stdout.write("\t".join(_line(event)) + "\n")


def _line(event: PastEvent) -> Sequence[str]:
    return moment(event.at), event.tenant_id, event.kind, _what(event), _window(event)


def parse_since(text: str, now: datetime) -> datetime:
    """A date or time (UTC unless it says otherwise), or a duration back from now."""
    try:
        if re.fullmatch(r"[0-9.]+ ?[smhd]", text):
            return now - parse_duration(text)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            "--since: write a date such as 2026-11-01, a time such as 2026-11-01T08:00, or a duration such as 7d"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _what(event: PastEvent) -> str:
    if event.permission_label is not None:
        group = f"{event.permission_group} › " if event.permission_group else ""
        return f"{group}{event.permission_label}"
    return " ".join(filter(None, [event.credential_label + ":", event.state, event.detail]))


def _window(event: PastEvent) -> str:
    """On a terminal, which has little room, two times of one day are without it."""
    if event.seen_before is None and event.first_seen is None:
        return ""
    if on_terminal() and event.seen_before and event.first_seen and event.seen_before.date() == event.at.date():
        return f"{event.seen_before:%H:%M:%SZ} – {event.first_seen:%H:%M:%SZ}"
    return f"{moment(event.seen_before) or '…'} – {moment(event.first_seen) or moment(event.at)}"


def _print_csv_header() -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerow(field.name for field in fields(PastEvent))


def _print_csv(found: Sequence[PastEvent]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows(map(inert, asdict(event).values()) for event in found)
