"""`report`: for how long tenants had every required permission."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

import typer

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import complain, on_terminal, print_json, print_table, say, terminal_width
from monitor.cli.database import moment, with_database
from monitor.cli.tenant_ids import tenant_ids
from monitor.cli.tenant_list import WITH_NAMES
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError, StoreError
from monitor.reporting import compliance_queries
from monitor.reporting.amounts import percent, short_length
from monitor.reporting.compliance import LossFigures, Report, Spread, TenantReport, Times
from monitor.reporting.compliance_document import (
    LOSS_COLUMNS,
    TENANT_COLUMNS,
    loss_rows,
    report_document,
    tenant_document,
    tenant_rows,
)
from monitor.reporting.compliance_sentence import ENDINGS, finding, label, notes, tenant_finding
from monitor.reporting.csv_cell import inert
from monitor.reporting.report_period import Period, default_period, parse_period
from monitor.store.database import Database

EXAMPLE = "Example: harvest-monitor report --period 2026-11 --csv"


def command(
    tenant: str | None = typer.Option(
        None, autocompletion=tenant_ids, help="Only this tenant, by id, with its losses."
    ),
    period: str | None = typer.Option(
        None, help="A month such as 2026-11, or a quarter such as 2026-Q4 (UTC); by default the last full month."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with a header line."),
) -> int:
    """For how long tenants had every required permission, what they lost, and how soon it was back."""
    if as_json and as_csv:
        raise ConfigurationError("--json and --csv: choose one of them")
    wanted = None if period is None else parse_period(period)
    if tenant is None:
        _show_all(_of_all(wanted), as_json, as_csv)
        return ExitStatus.COMPLIANT
    found = _of_one(tenant, wanted)
    if found is None:
        complain(f"no tenant {tenant!r} is recorded; `harvest-monitor tenants list` shows all tenants")
        return ExitStatus.USAGE
    _show_one(found, as_json, as_csv)
    return ExitStatus.COMPLIANT


def _of_all(period: Period | None) -> Report:
    now = utc_now()

    async def ask(db: Database, _: Settings) -> Report | None:
        async with db.reading() as conn:
            since = await compliance_queries.recorded_since(conn)
            if since is None:
                return None
            return await compliance_queries.report(conn, period or default_period(since, now), since, now)

    found = with_database(ask)
    if found is None:
        raise StoreError(
            "there is nothing to report, since no tenant is recorded: start `harvest-monitor serve`, or run "
            "`harvest-monitor tenants sync`"
        )
    return found


def _of_one(tenant: str, period: Period | None) -> TenantReport | None:
    now = utc_now()

    async def ask(db: Database, _: Settings) -> TenantReport | None:
        async with db.reading() as conn:
            since = await compliance_queries.recorded_since(conn)
            if since is None:
                return None
            wanted = period or default_period(since, now)
            return await compliance_queries.tenant_report(conn, tenant, wanted, since, now)

    return with_database(ask)


def _show_all(report: Report, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(report_document(report))
    elif as_csv:
        _print_csv(TENANT_COLUMNS, tenant_rows(report))
    else:
        _print_lines([finding(report).plain, *_figures(report.times, report.figures), *notes(report.covered)])
        print_table(
            ["TENANT", "NAME", "SHARE", "LOST", "EARLIER", "TO DETECT", "TO REPAIR", "OPEN", "DECLINED", "UNDECIDED"],
            _tenant_cells(report),
            empty="no tenant was there",
        )


def _tenant_cells(report: Report) -> Iterator[Sequence[str]]:
    for one in report.tenants:
        figures = one.figures
        yield (
            one.id,
            "" if on_terminal() and terminal_width() < WITH_NAMES else one.name,
            _plain(percent(one.times.share)),
            str(figures.lost),
            str(figures.before),
            short_length(figures.detected.mean),
            short_length(figures.restored.mean),
            str(figures.still_open.number),
            str(len(one.declined)),
            _plain(percent(one.times.part("undecided"))),
        )


def _show_one(report: TenantReport, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print_json(tenant_document(report))
        return
    if as_csv:
        _print_csv(LOSS_COLUMNS, loss_rows(report))
        return
    tenant = report.tenant
    declined = f"declined, as the tenants file says now: {', '.join(tenant.declined) or 'nothing'}"
    figures = _figures(tenant.times, tenant.figures)
    _print_lines([tenant_finding(report).plain, *figures, declined, *notes(report.covered)])
    print_table(
        ["WHAT", "SEEN BEFORE", "FIRST SEEN", "CONFIRMED", "ENDED", "HOW", "LASTED"],
        [
            (
                label(loss),
                moment(loss.begun.seen_before),
                moment(loss.begun.first_seen),
                moment(loss.begun.at),
                moment(loss.ended_at),
                ENDINGS[loss.ending],
                short_length(loss.lasted(report.covered.span.end)),
            )
            for loss in report.losses
        ],
        empty="nothing was lost",
    )


def _figures(times: Times, figures: LossFigures) -> list[str]:
    parts = [f"{field.name} {percent(times.part(field.name))}" for field in fields(Times)]
    return [
        f"time: {', '.join(parts)}",
        f"losses: {figures.before} open at the beginning, {figures.lost} lost, {figures.found} lacking at first sight; "
        f"{figures.restored.number} repaired, {figures.ended_otherwise} ended otherwise, "
        f"{figures.still_open.number} open at the end",
        f"time to detect, at most: {_spread(figures.detected)}",
        f"time to repair: {_spread(figures.restored)}",
    ]


def _spread(lengths: Spread) -> str:
    if not lengths.number:
        return "–"
    return f"{short_length(lengths.mean)} on average, {short_length(lengths.longest)} at worst"


def _print_lines(lines: Iterable[str]) -> None:
    for line in [*lines, ""]:
        say(_plain(line))


def _plain(text: str) -> str:
    """For terminals and other programs: a no-break space is for pages."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def _print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(inert, row) for row in rows)
