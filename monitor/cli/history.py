"""`history`: the drift events as they were recorded."""

import csv
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime

import typer

from monitor.cli.console import print_json, print_table
from monitor.cli.database import moment, with_database
from monitor.config.setting_types import parse_duration
from monitor.config.settings import Settings
from monitor.drift import EventKind
from monitor.errors import ConfigurationError
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.store.database import Database

EXAMPLE = "Example: harvest-monitor history --tenant acme --since 7d"


def command(
    tenant: str | None = typer.Option(None, help="Only this tenant, by id."),
    since: str | None = typer.Option(
        None, help="From this time on: 2026-11-01, 2026-11-01T08:00, or 7d for the last week."
    ),
    permission: str | None = typer.Option(None, help="Only this permission, by id or label."),
    kind: EventKind | None = typer.Option(None, help="Only this kind."),
    limit: int | None = typer.Option(None, min=1, help="Maximum number; keeps the newest."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with a header line."),
) -> None:
    """What changed, for whom, and between which two checks; oldest first."""
    if as_json and as_csv:
        raise ConfigurationError("--json and --csv: choose one of them")
    wanted = Wanted(
        tenant_id=tenant,
        since=None if since is None else parse_since(since, datetime.now(UTC)),
        permission=permission,
        kind=kind,
        limit=limit,
    )

    async def ask(db: Database, _: Settings) -> Sequence[PastEvent]:
        async with db.reading() as conn:
            return await events(conn, wanted)

    found = with_database(ask)
    if as_json:
        print_json({"events": [asdict(event) for event in found]})
    elif as_csv:
        _print_csv(found)
    else:
        print_table(
            ["AT", "TENANT", "KIND", "WHAT", "WINDOW"],
            [(moment(e.at), e.tenant_id, e.kind, _what(e), _window(e)) for e in found],
            empty="no matching events",
        )


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
    if event.seen_before is None and event.first_seen is None:
        return ""
    return f"{moment(event.seen_before) or '…'} – {moment(event.first_seen) or moment(event.at)}"


def _print_csv(found: Sequence[PastEvent]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in fields(PastEvent))
    writer.writerows(map(_inert, asdict(event).values()) for event in found)


def _inert(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: names come from a file that others may write."""
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
