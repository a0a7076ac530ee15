"""`tenants list|show|days|sync`; `tenants migration` is in v3_migration."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from checks.credential import CredentialKind, CredentialState
from checks.reasons import REASONS
from checks.report import Verdict
from monitor.assembly import Assembly
from monitor.checking.check_document import ExitStatus
from monitor.cli import v3_migration
from monitor.cli.console import complain, print_json, print_table
from monitor.cli.database import moment, with_database, with_new_database
from monitor.cli.history import parse_since
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.drift import KnownPermission
from monitor.metrics import Metrics
from monitor.store.database import Database
from monitor.tenants import overview_queries
from monitor.tenants.overview_queries import CredentialDetail, TenantLine
from monitor.tenants.sync_queries import Synced
from monitor.upkeep import check_days_queries
from monitor.upkeep.check_days import Day
from monitor.version import VERSION

app = typer.Typer(
    help="Show the last known state of tenants; load the tenants file into the database.", no_args_is_help=True
)
AsJson = typer.Option(False, "--json", help="Print one JSON document.")

app.command("migration", epilog=v3_migration.EXAMPLE)(v3_migration.command)


@app.command("list", epilog="Example: harvest-monitor tenants list --json | jq '.tenants[] | select(.missing > 0).id'")
def list_(as_json: bool = AsJson) -> None:
    """List all tenants with their kinds of credentials, state, and number of missing permissions."""

    async def query(db: Database, _: Settings) -> Sequence[TenantLine]:
        async with db.reading() as conn:
            return await overview_queries.tenants(conn)

    lines = with_database(query)
    if as_json:
        print_json({"tenants": [_document(line) for line in lines]})
        return
    print_table(
        ["TENANT", "NAME", "KIND", "STATE", "MISSING", "UNDECIDED", "SUSPECTS", "LAST CHECK", "INCIDENT SINCE"],
        [
            (
                line.id,
                line.name,
                "+".join(CredentialKind(kind).version for kind in line.kinds),
                line.state.value,
                *(str(line.total(count)) for count in ("missing", "undecided", "suspects")),
                moment(line.last_checked_at),
                moment(line.incident_since),
            )
            for line in lines
        ],
        empty="no tenants are recorded: start `harvest-monitor serve`, or run `harvest-monitor tenants sync`",
    )


@app.command(epilog="Example: harvest-monitor tenants show acme")
def show(tenant: str = typer.Argument(help="The tenant's id."), as_json: bool = AsJson) -> int:
    """Show one tenant: its credentials, and every permission that is missing, suspect or undecided."""

    async def query(db: Database, _: Settings) -> tuple[TenantLine, Sequence[CredentialDetail]] | None:
        async with db.reading() as conn:
            return await overview_queries.tenant(conn, tenant)

    found = with_database(query)
    if found is None:
        complain(f"no tenant {tenant!r} is recorded; `harvest-monitor tenants list` shows all tenants")
        return ExitStatus.USAGE
    line, details = found
    if as_json:
        print_json({**_document(line), "credentials": [_credential_document(detail) for detail in details]})
    else:
        for text in _tenant_lines(line, details):
            typer.echo(text)
    return ExitStatus.COMPLIANT


@app.command(epilog="Example: harvest-monitor tenants days acme --since 2026-03-01")
def days(
    tenant: str = typer.Argument(help="The tenant's id; also that of a removed tenant."),
    since: str = typer.Option("30d", help="First day: 2026-03-01, or 90d for the last 90 days."),
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
        print_table(
            [
                "DAY",
                "CREDENTIAL",
                "CHECKS",
                "DRIFTED",
                "UNDECIDED",
                "FAILED",
                "STATE",
                "GRANTED",
                "MISSING",
                "REQUESTS",
            ],
            [(str(day.day), label, *_day_cells(day)) for label, theirs in found.items() for day in theirs],
            empty="no checks since then",
        )
    return ExitStatus.COMPLIANT


@app.command(epilog="Example: harvest-monitor tenants sync --any-removal")
def sync(
    any_removal: bool = typer.Option(False, help="Remove tenants that the file no longer has, however many."),
) -> None:
    """Load the tenants file into the database now, as `serve` does when the file changes."""

    async def act(db: Database, settings: Settings) -> Synced:
        return await Assembly(settings).tenant_sync(db, Metrics(VERSION)).load(utc_now(), any_removal=any_removal)

    synced = with_new_database(act)
    typer.echo(f"{synced.added} added, {synced.changed} changed, {synced.removed} removed")


def _day_document(day: Day) -> dict[str, Any]:
    document = asdict(day)
    del document["credential_id"]
    return document


def _day_cells(day: Day) -> list[str]:
    counts = [day.checks, day.drifted, day.undecided, day.failed]
    permissions = ["" if count is None else str(count) for count in (day.least_granted, day.most_missing)]
    return [*map(str, counts), day.state, *permissions, str(day.requests)]


def _document(line: TenantLine) -> dict[str, Any]:
    counts = ("granted", "missing", "undecided", "unchecked", "suspects", "excess")
    return {
        "id": line.id,
        "name": line.name,
        "kinds": list(line.kinds),
        "status": line.status.value,
        "status_since": line.status_since,
        "paused": line.paused,
        "state": line.state.value,
        "problem": line.problem,
        "incident_since": line.incident_since,
        "last_checked_at": line.last_checked_at,
        **{count: line.total(count) for count in counts},
    }


def _credential_document(detail: CredentialDetail) -> dict[str, Any]:
    permissions = [{"id": key, **asdict(known)} for key, known in sorted(detail.permissions.items())]
    excess = [{"endpoint": key, **asdict(known)} for key, known in sorted(detail.excess.items())]
    return {**asdict(detail.line), "permissions": permissions, "excess_permissions": excess}


def _tenant_lines(line: TenantLine, details: Sequence[CredentialDetail]) -> list[str]:
    shown = [f"{line.name} ({line.id}): {line.status} since {moment(line.status_since)}"]
    if line.paused:
        shown.append(f"  paused in the tenants file: {', '.join(filter(None, line.paused.values()))}")
    if line.problem:
        shown.append(f"  tenants file: {line.problem}")
    if line.incident_since:
        shown.append(f"  incident open since {moment(line.incident_since)}")
    for detail in details:
        shown += _credential_lines(detail)
    return shown


def _credential_lines(detail: CredentialDetail) -> list[str]:
    c = detail.line
    state = f"{c.state}" if c.state is CredentialState.OK else f"{c.state} ({c.detail}) since {moment(c.state_since)}"
    shown = [
        f"{c.label} ({c.kind}, {c.fingerprint or 'no secret has worked yet'}): {state}",
        f"  last check {moment(c.last_checked_at) or 'never'}, next {moment(c.next_due) or 'not planned'}",
        f"  {c.granted} granted, {c.missing} missing, {c.undecided} undecided, {c.unchecked} unchecked",
    ]
    if c.suspect_state:
        shown.append(f"  suspect: seen {c.suspect_state} once")
    worst_first = sorted(detail.permissions.values(), key=lambda known: (not known.missing, not known.suspect))
    shown += [text for known in worst_first for text in _permission_lines(known)]
    shown += [
        f"  beyond the manifest: {e.label}{'' if e.certain else ' (likely)'}, since {moment(e.since)}"
        for e in detail.excess.values()
    ]
    return shown


def _permission_lines(known: KnownPermission) -> list[str]:
    what = f"{known.group} › {known.label}"
    shown = []
    if known.missing:
        shown.append(f"  missing: {what}, since {moment(known.since)}")
    if known.suspect:
        seen = "granted" if known.missing else "missing"
        shown.append(f"  suspect: {what}, seen {seen} at {moment(known.suspect_since)}")
    if known.undecided_as is Verdict.UNDECIDED:
        reason = REASONS.get(known.undecided_reason or "", "")
        shown.append(f"  undecided: {what}, since {moment(known.undecided_since)}: {reason}")
    return shown
