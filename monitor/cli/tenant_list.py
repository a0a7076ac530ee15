"""`tenants list`: how every tenant stands, worst first on a terminal, by id for programs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import typer

from checks.credential import CredentialKind, CredentialState
from monitor.cli.console import age, on_terminal, print_fitted, print_json, print_table, say, tell, terminal_width
from monitor.cli.database import moment, with_database
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.incidents.status import PRESENT, TenantStatus
from monitor.notices.wording import counted
from monitor.reporting import service_queries, tenant_list_queries
from monitor.reporting.alike import Alike, set_apart
from monitor.reporting.tenant_list import Shown, TenantFilter, TenantRow
from monitor.store.database import Database
from monitor.tenants import overview_queries
from monitor.tenants.overview_queries import TenantLine

EXAMPLE = "Example: harvest-monitor tenants list --status drifted --missing 'GET: List offers'"
COUNTS = ("granted", "missing", "undecided", "unchecked", "suspects", "excess")
_STATUSES = (*Shown, *PRESENT)
WITH_NAMES = 100  # columns; a narrower terminal has room for the reason or the name


@dataclass(frozen=True, slots=True)
class TenantListing:
    """The rows asked for, the worst first, with what else is stored of each; `all_tenants` by status."""

    rows: Sequence[TenantRow]
    lines: Mapping[str, TenantLine]
    all_tenants: Mapping[TenantStatus, int]


def _status(text: str) -> str:
    if text not in _STATUSES:
        raise typer.BadParameter(f"choose one of {', '.join(_STATUSES)}")
    return text


def command(
    status: str = typer.Option(
        Shown.ANY,
        metavar="STATUS",
        callback=_status,
        help=f"Only this status: {', '.join(PRESENT)}; or attention: all but the healthy.",
    ),
    missing: str | None = typer.Option(
        None, metavar="PERMISSION", help="Only tenants that lack this permission, by id or label."
    ),
    csm: str | None = typer.Option(None, metavar="EMAIL", help="Only tenants of the CSM with this email address."),
    kind: CredentialKind | None = typer.Option(None, help="Only tenants with a credential of this kind."),
    every: bool = typer.Option(False, "--all", help="On a terminal, list also tenants that more than 20 are like."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """How every tenant stands, why, and since when.

    On a terminal the worst come first, and where more than 20 stand alike for the same reason, one line says how many.
    In a pipe and in JSON, every tenant is listed, by id. `ok` is said of a credential only where all is well.
    """
    wanted = TenantFilter(status=status, missing=missing, csm=csm, kind=kind)

    async def query(db: Database, _: Settings) -> TenantListing:
        async with db.reading() as conn:
            rows = await tenant_list_queries.every(conn, wanted)
            lines = {line.id: line for line in await overview_queries.tenants(conn)}
            return TenantListing(rows, lines, await service_queries.tenants_by_status(conn))

    listing = with_database(query)
    if as_json:
        print_json({"tenants": [document(row, listing.lines[row.id]) for row in _by_id(listing.rows)]})
    elif not listing.rows:
        tell(_nothing(listing, wanted))
    elif on_terminal():
        _show(listing, every, utc_now())
    else:
        tell(summary(listing.rows, listing.all_tenants))
        _print_lines(listing)


def document(row: TenantRow, line: TenantLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "name": line.name,
        "kinds": list(line.kinds),
        "status": row.status.value,
        "status_since": row.since,
        "reason": row.reason,
        "told": asdict(row.told) if row.told else None,
        "paused": line.paused,
        "state": line.state.value,
        "problem": line.problem,
        "incident_since": line.incident_since,
        "last_checked_at": line.last_checked_at,
        **{count: line.total(count) for count in COUNTS},
    }


def by_status(counts: Mapping[TenantStatus, int]) -> str:
    return ", ".join(f"{counts[status]:,} {status}" for status in PRESENT if counts.get(status))


def summary(rows: Iterable[TenantRow], all_tenants: Mapping[TenantStatus, int]) -> str:
    """`60 tenants: 2 drifted, 58 healthy`; where not all are listed, `2 of 60 tenants: 2 drifted`."""
    counts = Counter(row.status for row in rows)
    listed, everybody = counts.total(), counted(sum(all_tenants.values()), "tenant")
    begin = everybody if listed == sum(all_tenants.values()) else f"{listed:,} of {everybody}"
    return f"{begin}: {by_status(counts)}"


def _nothing(listing: TenantListing, wanted: TenantFilter) -> str:
    if not listing.lines:
        return "no tenants are recorded: start `harvest-monitor serve`, or run `harvest-monitor tenants sync`"
    none = f"none of {counted(len(listing.lines), 'tenant')} fits"
    if wanted.missing:
        return f"{none}; `harvest-monitor manifest show` lists the permissions with their ids and labels"
    return none


def _by_id(rows: Iterable[TenantRow]) -> list[TenantRow]:
    return sorted(rows, key=attrgetter("id"))


def _show(listing: TenantListing, every: bool, now: datetime) -> None:
    rows, alike = (list(listing.rows), []) if every else set_apart(listing.rows)
    say(summary(listing.rows, listing.all_tenants), states=TenantStatus)
    _say_groups(group for group in alike if group.status.severity < TenantStatus.HEALTHY.severity)
    if rows:
        say("")
        print_rows(rows, now)
        say("")
    _say_groups(group for group in alike if group.status.severity >= TenantStatus.HEALTHY.severity)
    if alike:
        say("--all lists these one by one.")


def _say_groups(groups: Iterable[Alike]) -> None:
    for group in groups:
        say(group.said, states=TenantStatus)


def print_rows(rows: Iterable[TenantRow], now: datetime) -> None:
    """For a terminal: one line for each tenant, with its name where there is room."""
    wide = terminal_width() >= WITH_NAMES
    print_fitted(
        ["TENANT", "NAME", "STATUS", "FOR", "STATE", "CHECKED", "REASON"],
        [
            (
                row.id,
                row.name if wide else "",
                row.status.value,
                age(row.since, now),
                state_shown(row.status, row.state),
                f"{age(row.last_checked_at, now)} ago" if row.last_checked_at else "never",
                " ".join(row.reason.split()),
            )
            for row in rows
        ],
        shortened={"TENANT": 16, "NAME": 20, "REASON": 40},
    )


def state_shown(status: TenantStatus, state: CredentialState) -> str:
    """Nobody shall read `ok` where permissions are missing or undecided, or nothing was checked yet."""
    return "" if state is CredentialState.OK and status is not TenantStatus.HEALTHY else state.value


def _print_lines(listing: TenantListing) -> None:
    """For a pipe: every column in full."""
    columns = ["TENANT", "NAME", "KIND", "STATUS", "SINCE", "REASON", "STATE", "MISSING", "UNDECIDED", "SUSPECTS"]
    rows = [_line(row, listing.lines[row.id]) for row in _by_id(listing.rows)]
    print_table([*columns, "LAST CHECK", "INCIDENT SINCE"], rows, empty="")


def _line(row: TenantRow, line: TenantLine) -> tuple[str, ...]:
    return (
        line.id,
        line.name,
        "+".join(CredentialKind(kind).version for kind in line.kinds),
        row.status.value,
        moment(row.since),
        " ".join(row.reason.split()),
        state_shown(row.status, row.state),
        *(str(line.total(count)) for count in ("missing", "undecided", "suspects")),
        moment(line.last_checked_at),
        moment(line.incident_since),
    )
