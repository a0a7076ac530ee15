"""`writes status|resume`."""

from collections.abc import Sequence
from typing import Any

import typer
from sqlalchemy import Row

from monitor.checking import write_halt_queries
from monitor.checking.check_document import ExitStatus
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import print_json, print_table
from monitor.cli.database import moment, who, with_database
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.notices.wording import counted
from monitor.store.database import Database

app = CommandTree(
    help="See whether write probes are halted, and lift the halt.",
    epilog="Example: harvest-monitor writes status",
    no_args_is_help=True,
)


@app.command(epilog="Example: harvest-monitor writes status")
def status(as_json: bool = typer.Option(False, "--json", help="Print one JSON document.")) -> int:
    """Every halt of write probes, newest first; exit status 1 while one is in force."""

    async def ask(db: Database, _: Settings) -> Sequence[Row[Any]]:
        async with db.reading() as conn:
            return await write_halt_queries.halts(conn)

    found = with_database(ask)
    in_force = any(halt.lifted_at is None for halt in found)
    if as_json:
        print_json({"halted": in_force, "halts": [dict(halt._mapping) for halt in found]})
    else:
        typer.echo("write probes are halted" if in_force else "write probes are not halted")
        print_table(
            ["AT", "TENANT", "STOPS", "ENDPOINT", "ANSWERED", "REQUEST ID", "RECORD ID", "LIFTED"],
            [
                (
                    moment(h.at),
                    h.tenant_id or "",
                    h.scope,
                    h.endpoint,
                    str(h.status),
                    h.request_id or "",
                    h.record_id or "",
                    f"{moment(h.lifted_at)} {h.lifted_reason or ''}".strip(),
                )
                for h in found
            ],
            empty="no halt was ever recorded",
        )
    return ExitStatus.TROUBLE if in_force else ExitStatus.COMPLIANT


@app.command(epilog="Example: harvest-monitor writes resume --reason 'ticket 4711: nothing was changed'")
def resume(reason: str = typer.Option(..., help="What you found out; recorded with your name.")) -> None:
    """Allow write probes again. Examine the record named in the halt first."""

    async def act(db: Database, _: Settings) -> int:
        async with db.writing() as conn:
            return await write_halt_queries.lift(conn, who(), reason, utc_now())

    typer.echo(f"{counted(with_database(act), 'halt')} lifted")
