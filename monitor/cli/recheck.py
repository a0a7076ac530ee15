"""`tenants recheck`: the running service checks these tenants now."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import typer
from rich.console import Console

from monitor.checking import recheck
from monitor.checking.check_document import ExitStatus
from monitor.checking.recheck import RecheckAnswer, Waited
from monitor.checking.recheck_queries import RecheckProgress
from monitor.cli.console import complain, on_terminal, print_json, print_table, tell
from monitor.cli.database import moment, who, with_database
from monitor.cli.tenant_ids import tenant_ids
from monitor.cli.tenant_list import print_rows
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.notices.wording import counted, duration
from monitor.reporting import tenant_list_queries
from monitor.reporting.tenant_list import TenantRow
from monitor.store.database import Database

EXAMPLE = "Example: harvest-monitor tenants recheck acme globex --reason 'Dana ticked it' --wait"
LONGER_THAN_A_CHECK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RecheckResult:
    """`waited` and `rows`, how the tenants stand after their checks, are there if somebody waited for them."""

    answers: Mapping[str, RecheckAnswer]
    waited: Waited | None = None
    rows: Sequence[TenantRow] = ()


def command(
    tenant: list[str] = typer.Argument(autocompletion=tenant_ids, help="Ids of tenants."),
    reason: str = typer.Option("", help="Why, for the record."),
    wait: bool = typer.Option(False, "--wait", help="Wait for the checks, and show how the tenants then stand."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Have the running service check these tenants now, at most every ten minutes each.

    Exit status: 0 all were asked for, 2 at least one could not be, 3 not all results came in time (with --wait).
    """

    async def act(db: Database, settings: Settings) -> RecheckResult:
        now = utc_now()
        answers = await recheck.ask(db, tenant, who(), reason, now)
        asked = [tenant_id for tenant_id, answer in answers.items() if answer.asked]
        if not as_json:
            _tell(answers)
        return await _results(db, settings, answers, asked, now) if wait and asked else RecheckResult(answers)

    done = with_database(act)
    if as_json:
        print_json(_document(done))
    elif done.rows:
        _show(done.rows)
    if done.waited in (Waited.NOT_BEGUN, Waited.NOT_DONE):
        complain(_UNFINISHED[done.waited])
        return ExitStatus.UNDECIDED
    return ExitStatus.COMPLIANT if all(answer.asked for answer in done.answers.values()) else ExitStatus.USAGE


_UNFINISHED = {
    Waited.NOT_BEGUN: f"no check began within {duration(recheck.BEGINS_WITHIN)}, and all stay due: see whether `serve` "
    "runs and checks are not paused (`harvest-monitor status`)",
    Waited.NOT_DONE: "not every check ended in the time that one may take; `harvest-monitor tenants show` tells later",
}


async def _results(
    db: Database, settings: Settings, answers: Mapping[str, RecheckAnswer], asked: Sequence[str], now: datetime
) -> RecheckResult:
    with Console(stderr=True).status("waiting for the service") as shown:

        def seen(progress: RecheckProgress) -> None:
            shown.update(f"{progress.done} of {counted(progress.credentials, 'check')} done, {progress.begun} begun")

        longest = settings.deadline + LONGER_THAN_A_CHECK
        waited = await recheck.wait(db, asked, now, longest, asyncio.sleep, seen)
    async with db.reading() as conn:
        rows = [await tenant_list_queries.one(conn, tenant_id) for tenant_id in asked]
    return RecheckResult(answers, waited, [row for row in rows if row is not None])


def _tell(answers: Mapping[str, RecheckAnswer]) -> None:
    for tenant_id, answer in answers.items():
        (tell if answer.asked else complain)(f"{tenant_id}: {answer.message}")


def _show(rows: Sequence[TenantRow]) -> None:
    if on_terminal():
        print_rows(rows, utc_now())
    else:
        lines = [(row.id, row.status.value, row.reason, moment(row.last_checked_at)) for row in rows]
        print_table(["TENANT", "STATUS", "REASON", "LAST CHECK"], lines, empty="")


def _document(done: RecheckResult) -> dict[str, Any]:
    return {
        "tenants": [
            {"id": id_, "answer": answer.result, "message": answer.message, "again_at": answer.again_at}
            for id_, answer in done.answers.items()
        ],
        "waited": done.waited,
        "results": [
            {
                "id": row.id,
                "status": row.status,
                "status_since": row.since,
                "reason": row.reason,
                "last_checked_at": row.last_checked_at,
            }
            for row in done.rows
        ],
    }
