"""`db check`: checks the database's integrity and changes nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.cli.database import moment, require_file
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.notices.wording import counted
from monitor.store.database import database_as_it_is
from monitor.upkeep.database_check import DatabaseCheck, DatabaseReport
from monitor.upkeep.finding import DatabasePart, HealthFinding
from monitor.upkeep.growth import total_after

EXAMPLE = "Example: harvest-monitor db check --quick"
_SHOWN = 20
_YEAR = 365
_DESCRIPTIONS = {
    DatabasePart.FILE: "reading every page",
    DatabasePart.TABLES: "comparing the tables",
    DatabasePart.REFERENCES: "following references",
    DatabasePart.RECORDS: "comparing records",
    DatabasePart.KEY: "comparing the key",
    DatabasePart.HISTORY: "comparing the newest signatures",
    DatabasePart.UPKEEP: "looking for expired data",
    DatabasePart.SPACE: "measuring the tables",
}


def check(
    quick: bool = typer.Option(
        False, "--quick", help="Skip comparing indexes with their tables; for large SQLite files."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Check the database's integrity; read-only, also while the service runs.

    Exit status: 0 sound, 1 something was found, 2 it could not be checked.
    """
    report = asyncio.run(_check(quick))
    if as_json:
        print_json(_document(report))
    else:
        _show(report)
    return ExitStatus.COMPLIANT if report.sound else ExitStatus.TROUBLE


async def _check(quick: bool) -> DatabaseReport:
    settings = settings_loader.load()
    require_file(settings.database)
    db = database_as_it_is(settings.database)
    try:
        with _Progress() as progress:
            return await DatabaseCheck(db, settings, utc_now(), quick=quick, started=progress.began).run()
    finally:
        await db.close()


class _Progress:
    """Shows on a terminal what is being checked, and for how long; nothing in a pipe."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._line = self._bar.add_task("opening", total=len(DatabasePart))

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def began(self, part: DatabasePart) -> None:
        self._bar.update(self._line, description=_DESCRIPTIONS[part], completed=list(DatabasePart).index(part))


def _show(report: DatabaseReport) -> None:
    last = (
        ""
        if DatabasePart.RECORDS in report.skipped
        else f", last check of a tenant {moment(report.last_check) or 'never'}"
    )
    typer.echo(f"{report.database}: tables {report.revision}{last}")
    print_table(["PART", "FOUND"], [(part, _verdict(report, part)) for part in DatabasePart], empty="")
    if report.findings:
        typer.echo("")
        shown = [finding for part in DatabasePart for finding in report.of(part)[:_SHOWN]]
        print_table(["PART", "TENANT", "FOUND", "NEXT STEP"], map(_line, shown), empty="")
        if len(shown) < len(report.findings):
            tell(f"… and {len(report.findings) - len(shown)} more, shown by --json")
    if report.size is not None:
        typer.echo("")
        _show_sizes(report)


def _verdict(report: DatabaseReport, part: DatabasePart) -> str:
    if part in report.skipped:
        return f"not checked: {report.skipped[part]}"
    found = len(report.of(part))
    return counted(found, "finding") if found else "sound"


def _line(finding: HealthFinding) -> Sequence[str]:
    return (finding.part, finding.tenant or "", finding.message, finding.next_step)


def _show_sizes(report: DatabaseReport) -> None:
    print_table(
        ["WHAT EXPIRES", "OLDEST", "NEWEST", "KEPT FROM", "EXPIRED"],
        [(a.rule, moment(a.oldest), moment(a.newest), moment(a.before), str(a.stale)) for a in report.ages],
        empty="",
    )
    typer.echo("")
    print_table(
        ["TABLE", "ROWS", "SIZE", "PER DAY", "IN A YEAR"],
        [
            *(
                (t.name, f"{t.rows:,}", _size(t.bytes), _size(t.bytes_a_day), _size(t.bytes_after(_YEAR)))
                for t in report.tables
            ),
            ("all", "", _size(total_after(report.tables, 0)), "", _size(total_after(report.tables, _YEAR))),
        ],
        empty="",
    )
    if any(table.rows_a_day is None for table in report.tables):
        tell("growth per day is known once the database is a day old")
    typer.echo("")
    print_table(["SPACE", "SIZE"], _space(report), empty="")


def _space(report: DatabaseReport) -> Iterable[Sequence[str]]:
    if report.size is None:
        return
    yield "in use", _size(report.size.used)
    if report.disk_free is not None:
        yield "free within the file", _size(report.size.free)
        yield "log beside the file", _size(report.size.wal)
        yield "free on the disk", _size(report.disk_free)


def _size(count: float | None) -> str:
    """Bytes for people: three digits and a decimal unit."""
    if count is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} GB"


def _document(report: DatabaseReport) -> dict[str, Any]:
    # Scripts rely on these keys: `last_look`, `left_out` and `room` stay, whatever the fields are called.
    return {
        "database": report.database,
        "sound": report.sound,
        "revision": report.revision,
        "newest_revision": report.newest,
        "last_look": report.last_check,
        "parts": [{"part": p, "findings": len(report.of(p)), "left_out": report.skipped.get(p)} for p in DatabasePart],
        "findings": [
            {"part": f.part, "tenant": f.tenant, "message": f.message, "next_step": f.next_step}
            for f in report.findings
        ],
        "ages": [asdict(age) for age in report.ages],
        "tables": [
            {
                "table": table.name,
                "rows": table.rows,
                "bytes": table.bytes,
                "rows_a_day": table.rows_a_day,
                "bytes_a_day": table.bytes_a_day,
                "bytes_in_a_year": table.bytes_after(_YEAR),
            }
            for table in report.tables
        ],
        "space": None if report.size is None else {**asdict(report.size), "room": report.disk_free},
    }
