"""`history verify`: compares the history with its signatures."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.cli.database import moment, require_file
from monitor.config import settings_loader
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.store.database import Database, database_as_it_is
from monitor.store.migrations import schema_state
from monitor.tenants.fingerprint_key import existing_key
from monitor.upkeep.audit.chain import AuditKey, ChainHead
from monitor.upkeep.audit.chain_report import ChainFinding, ChainReport
from monitor.upkeep.audit.verifier import HistoryVerifier

EXAMPLE = "Example: harvest-monitor history verify --json"
_SHOWN = 20


def verify(
    from_batch: int = typer.Option(
        1, min=1, metavar="BATCH", help="Begin at this batch, behind a break that is known."
    ),
    noted: str | None = typer.Option(
        None, metavar="BATCH-SIGNATURE", help="A batch and its signature, noted earlier, that must still be there."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Find every drift event and operator's action that was altered, removed or inserted after it was signed.

    Read-only, also while the service runs; docs/audit.md says what it proves.

    Exit status: 0 intact, 1 something is wrong, 2 it could not be verified.
    """
    settings = settings_loader.load()
    report = asyncio.run(_verify(settings, from_batch, None if noted is None else parse_noted(noted)))
    if as_json:
        print_json(_document(report))
    else:
        _show(report)
    return ExitStatus.COMPLIANT if report.intact else ExitStatus.TROUBLE


def parse_noted(text: str) -> ChainHead:
    batch, _, signature = text.partition("-")
    if not (batch.isascii() and batch.isdigit() and signature):
        raise ConfigurationError("--noted: write a batch and its signature, such as 17-2f680615646c6c2c")
    return ChainHead(int(batch), signature)


async def _verify(settings: Settings, first: int, noted: ChainHead | None) -> ChainReport:
    require_file(settings.database)
    db = database_as_it_is(settings.database)
    try:
        async with db.reading() as conn:
            db.refuse_unless_current(await conn.run_sync(schema_state))
        key = await _key(db, settings)
        with _progress() as bar:
            line = bar.add_task("batches", total=None)
            verifier = HistoryVerifier(
                db, key, lambda done, total: bar.update(line, completed=done, total=total), first=first, noted=noted
            )
            return await verifier.run()
    finally:
        await db.close()


async def _key(db: Database, settings: Settings) -> AuditKey:
    key = await existing_key(db, settings)
    if key is None:
        raise ConfigurationError(
            f"no key of the installation is registered in {db.name}: `harvest-monitor serve` registers it and signs "
            "the history; if it has done so before, somebody has deleted the registration: restore a backup"
        )
    return AuditKey.derived(key)


def _progress() -> Progress:
    """On a terminal only."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(report: ChainReport) -> None:
    print_table(
        ["TABLE", "AS SIGNED", "PRUNED", "NOT SIGNED YET", "SINCE"],
        [
            (kind, str(counts.verified), str(counts.pruned), str(counts.unsigned), moment(counts.oldest_unsigned))
            for kind, counts in report.kinds.items()
        ],
        empty="",
    )
    if report.findings:
        typer.echo("")
        print_table(["PROBLEM", "FOUND"], map(_line, report.findings[:_SHOWN]), empty="")
        if len(report.findings) > _SHOWN:
            tell(f"… and {len(report.findings) - _SHOWN} more, shown by --json")
    elif report.head is None:
        tell("nothing is signed yet: `harvest-monitor serve` signs every minute")
    else:
        tell(f"intact up to batch {report.head.batch_id}; to compare later: --noted {_noted(report.head)}")


def _line(finding: ChainFinding) -> Sequence[str]:
    return finding.problem, finding.message


def _noted(head: ChainHead) -> str:
    return f"{head.batch_id}-{head.batch_signature}"


def _document(report: ChainReport) -> dict[str, Any]:
    return {
        "intact": report.intact,
        "key_id": report.key_id,
        "batches": report.batches,
        "checkpoints": report.checkpoints,
        "noted": None if report.head is None else _noted(report.head),
        "tables": [{"table": kind, **asdict(counts)} for kind, counts in report.kinds.items()],
        "findings": [asdict(finding) for finding in report.findings],
    }
