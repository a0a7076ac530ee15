"""`db check`: looks at the database, and changes nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.cli.database import insist_on_file, moment
from monitor.clock import utc_now
from monitor.config import settings as settings_module
from monitor.store.database import database_as_it_is
from monitor.upkeep.database_check import DatabaseCheck, DatabaseReport
from monitor.upkeep.finding import DatabasePart, HealthFinding
from monitor.upkeep.growth import total_after

EXAMPLE = "Example: harvest-monitor db check --quick"
_SHOWN = 20
_YEAR = 365
_LOOKING_AT = {
    DatabasePart.FILE: "reading every page",
    DatabasePart.TABLES: "comparing the tables",
    DatabasePart.REFERENCES: "following references",
    DatabasePart.RECORDS: "comparing records",
    DatabasePart.KEY: "comparing the key",
    DatabasePart.UPKEEP: "looking for what is old",
    DatabasePart.SPACE: "measuring the tables",
}


def check(
    quick: bool = typer.Option(False, help="Do not compare indexes with their tables; for large SQLite files."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Look whether the database is sound, beside a running service or without; nothing is changed.

    Exit status: 0 sound, 1 something was found, 2 it could not be looked at.
    """
    seen = asyncio.run(_look(quick))
    if as_json:
        print_json(_document(seen))
    else:
        _show(seen)
    return ExitStatus.COMPLIANT if seen.sound else ExitStatus.TROUBLE


async def _look(quick: bool) -> DatabaseReport:
    settings = settings_module.load()
    insist_on_file(settings.database)
    db = database_as_it_is(settings.database)
    try:
        with _Progress() as progress:
            return await DatabaseCheck(db, settings, utc_now(), quick=quick, started=progress.began).run()
    finally:
        await db.close()


class _Progress:
    """On a terminal what is looked at now, and for how long; nothing in a pipe."""

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
        self._bar.update(self._line, description=_LOOKING_AT[part], completed=list(DatabasePart).index(part))


def _show(seen: DatabaseReport) -> None:
    looked = (
        "" if DatabasePart.RECORDS in seen.skipped else f", last look at a tenant {moment(seen.last_check) or 'never'}"
    )
    typer.echo(f"{seen.database}: tables {seen.revision}{looked}")
    print_table(["PART", "FOUND"], [(part, _verdict(seen, part)) for part in DatabasePart], empty="")
    if seen.findings:
        typer.echo("")
        shown = [finding for part in DatabasePart for finding in seen.of(part)[:_SHOWN]]
        print_table(["PART", "TENANT", "FOUND", "NEXT STEP"], map(_line, shown), empty="")
        if len(shown) < len(seen.findings):
            tell(f"… and {len(seen.findings) - len(shown)} more, which --json shows")
    if seen.size is not None:
        typer.echo("")
        _show_sizes(seen)


def _verdict(seen: DatabaseReport, part: DatabasePart) -> str:
    if part in seen.skipped:
        return f"not looked at: {seen.skipped[part]}"
    found = len(seen.of(part))
    return "sound" if not found else "1 finding" if found == 1 else f"{found} findings"


def _line(finding: HealthFinding) -> Sequence[str]:
    return (finding.part, finding.tenant or "", finding.message, finding.next_step)


def _show_sizes(seen: DatabaseReport) -> None:
    print_table(
        ["WHAT GROWS OLD", "OLDEST", "NEWEST", "KEPT FROM", "OLDER"],
        [(a.rule, moment(a.oldest), moment(a.newest), moment(a.before), str(a.stale)) for a in seen.ages],
        empty="",
    )
    typer.echo("")
    print_table(
        ["TABLE", "ROWS", "SIZE", "A DAY", "IN A YEAR"],
        [
            *(
                (t.name, f"{t.rows:,}", _size(t.bytes), _size(t.bytes_a_day), _size(t.bytes_after(_YEAR)))
                for t in seen.tables
            ),
            ("all", "", _size(total_after(seen.tables, 0)), "", _size(total_after(seen.tables, _YEAR))),
        ],
        empty="",
    )
    if any(table.rows_a_day is None for table in seen.tables):
        tell("what comes in a day can be told once the database is a day old")
    typer.echo("")
    print_table(["SPACE", "SIZE"], _space(seen), empty="")


def _space(seen: DatabaseReport) -> Iterable[Sequence[str]]:
    if seen.size is None:
        return
    yield "in use", _size(seen.size.used)
    if seen.disk_free is not None:
        yield "free within the file", _size(seen.size.free)
        yield "log beside the file", _size(seen.size.wal)
        yield "free on the disk", _size(seen.disk_free)


def _size(count: float | None) -> str:
    """Bytes for people: three digits and a decimal unit."""
    if count is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} GB"


def _document(seen: DatabaseReport) -> dict[str, Any]:
    return {
        "database": seen.database,
        "sound": seen.sound,
        "revision": seen.revision,
        "newest_revision": seen.newest,
        "last_look": seen.last_check,
        "parts": [{"part": p, "findings": len(seen.of(p)), "left_out": seen.skipped.get(p)} for p in DatabasePart],
        "findings": [
            {"part": f.part, "tenant": f.tenant, "message": f.message, "next_step": f.next_step} for f in seen.findings
        ],
        "ages": [asdict(age) for age in seen.ages],
        "tables": [
            {
                "table": table.name,
                "rows": table.rows,
                "bytes": table.bytes,
                "rows_a_day": table.rows_a_day,
                "bytes_a_day": table.bytes_a_day,
                "bytes_in_a_year": table.bytes_after(_YEAR),
            }
            for table in seen.tables
        ],
        "space": None if seen.size is None else {**asdict(seen.size), "room": seen.disk_free},
    }
