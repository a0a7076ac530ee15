"""`notices list|release|retry|drop`."""

from collections.abc import Sequence
from dataclasses import asdict

import typer

from monitor.cli.console import print_json, print_table, tell
from monitor.cli.database import moment, who, with_database
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.notices import operator_actions
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database

app = typer.Typer(help="List notices; release held ones, retry failed ones, or drop them.", no_args_is_help=True)
Ids = typer.Argument(None, help="Numbers of notices; all held ones if left out.")
Reason = typer.Option("", help="Why, for the record.")


@app.command("list", epilog="Example: harvest-monitor notices list --status held")
def list_(
    status: list[Status] | None = typer.Option(None, help="Filter by status."),
    tenant: str | None = typer.Option(None, help="Filter by tenant id."),
    limit: int = typer.Option(100, min=1, help="Maximum number, newest first."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Notices and their status, the newest first."""

    async def ask(db: Database, _: Settings) -> Sequence[ListedNotice]:
        return await operator_actions.listing(db, status or tuple(Status), tenant, limit)

    found = with_database(ask)
    if as_json:
        print_json({"notices": [asdict(notice) for notice in found]})
        return
    print_table(
        ["NUMBER", "WRITTEN", "STATUS", "TO", "SUBJECT", "FORM", "TRIES", "LAST ERROR"],
        [_line(notice) for notice in found],
        empty="no matching notices",
    )


def _line(notice: ListedNotice) -> tuple[str, ...]:
    return (
        str(notice.id),
        moment(notice.created_at),
        notice.status,
        notice.recipient,
        notice.subject,
        "fallback" if notice.fallback else "",
        str(notice.attempts),
        notice.last_error or "",
    )


@app.command(epilog="Example: harvest-monitor notices release --reason 'Greenhouse confirmed the change'")
def release(ids: list[int] | None = Ids, reason: str = Reason) -> None:
    """Send held notices after all."""

    async def act(db: Database, _: Settings) -> list[int]:
        return await operator_actions.release(db, utc_now(), who(), reason, ids or None)

    typer.echo(f"{len(with_database(act))} notices released")


@app.command(epilog="Example: harvest-monitor notices retry 17 --reason 'corrected the address'")
def retry(
    ids: list[int] | None = typer.Argument(None, help="Numbers of failed notices."),
    every: bool = typer.Option(False, "--all", help="All failed notices."),
    reason: str = Reason,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Try failed notices again, sent to the CSMs whom the tenants file names now."""
    if bool(ids) == every:
        raise typer.BadParameter("give the numbers of the notices, or --all")

    async def act(db: Database, settings: Settings) -> list[int]:
        return await operator_actions.retry(db, utc_now(), who(), NoticePolicy.of(settings), reason, ids or None)

    retried = with_database(act)
    if as_json:
        print_json({"retried": retried})
        return
    typer.echo(f"{len(retried)} notices will be tried again")
    for number in sorted(set(ids or ()) - set(retried)):
        tell(f"notice {number} has not failed, so it is not retried")


@app.command(epilog="Example: harvest-monitor notices drop 17 18 --reason 'our own mistake'")
def drop(
    ids: list[int] | None = typer.Argument(None, help="Numbers of held or failed notices; all held ones if left out."),
    reason: str = Reason,
) -> None:
    """Never send held notices, or failed ones that you name."""

    async def act(db: Database, _: Settings) -> list[int]:
        return await operator_actions.drop(db, utc_now(), who(), reason, ids or None)

    typer.echo(f"{len(with_database(act))} notices dropped")
