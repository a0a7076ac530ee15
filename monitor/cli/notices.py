"""`notices list|show|release|retry|drop`."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from monitor.checking.check_document import ExitStatus
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import complain, on_terminal, print_fitted, print_json, print_table, say, tell
from monitor.cli.database import moment, who, with_database
from monitor.cli.tenant_ids import tenant_ids
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.notices import operator_actions
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, PastAction, WholeNotice
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import counted
from monitor.store.database import Database

app = CommandTree(
    help="Read notices; release held ones, retry failed ones, or drop them.",
    epilog="Example: harvest-monitor notices list --status held",
    no_args_is_help=True,
)
Ids = typer.Argument(
    None, metavar="NUMBER", help="Numbers of held notices; if left out, all of them, after a question."
)
AllHeld = typer.Option(False, "--all", help="All held notices, without asking.")
Reason = typer.Option("", help="Why, for the record.")


@app.command("list", epilog="Example: harvest-monitor notices list --status held")
def list_(
    status: list[Status] | None = typer.Option(None, help="Only with this status; can be repeated."),
    tenant: str | None = typer.Option(None, autocompletion=tenant_ids, help="Only this tenant, by id."),
    limit: int = typer.Option(100, min=1, help="At most so many, the newest."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Notices and their status, the newest first."""

    async def ask(db: Database, _: Settings) -> Sequence[ListedNotice]:
        return await operator_actions.listing(db, status or tuple(Status), tenant, limit)

    found = with_database(ask)
    if as_json:
        print_json({"notices": [asdict(notice) for notice in found]})
        return
    if found and on_terminal():
        _show_fitted(found)
        return
    print_table(
        ["NUMBER", "WRITTEN", "TENANT", "STATUS", "SENT", "TO", "SUBJECT", "FORM", "TRIES", "LAST ERROR"],
        [_line(notice) for notice in found],
        empty="no matching notices",
    )


def _show_fitted(found: Sequence[ListedNotice]) -> None:
    """On a terminal: when each was sent, or what is in its way."""
    print_fitted(
        ["NUMBER", "TENANT", "STATUS", "SENT", "TO", "SUBJECT", "TRIES", "LAST ERROR"],
        [
            (
                str(notice.id),
                notice.tenant_id or "",
                notice.status,
                f"{notice.sent_at:%m-%d %H:%MZ}" if notice.sent_at else "",
                notice.recipient,
                notice.subject,
                str(notice.attempts) if notice.last_error else "",
                " ".join((notice.last_error or "").split()),
            )
            for notice in found
        ],
        shortened={"TENANT": 12, "TO": 14, "SUBJECT": 24, "LAST ERROR": 24},
    )


def _line(notice: ListedNotice) -> tuple[str, ...]:
    return (
        str(notice.id),
        moment(notice.created_at),
        notice.tenant_id or "",
        notice.status,
        moment(notice.sent_at),
        notice.recipient,
        notice.subject,
        "fallback" if notice.fallback else "",
        str(notice.attempts),
        notice.last_error or "",
    )


@app.command(epilog="Example: harvest-monitor notices show 17 --html 17.html")
def show(
    number: int = typer.Argument(..., help="Number of the notice."),
    html: Path | None = typer.Option(None, "--html", help="Also write the HTML part to this file.", dir_okay=False),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """A notice as it would be sent, why and to whom, and what operators did with it."""

    async def ask(db: Database, settings: Settings) -> tuple[WholeNotice | None, str]:
        return await operator_actions.show(db, number), settings.mail_from or ""

    notice, sender = with_database(ask)
    if notice is None:
        complain(f"there is no notice {number}; `harvest-monitor notices list` shows the newest")
        raise typer.Exit(ExitStatus.USAGE)
    if html is not None:
        _write_html(notice, html)
    if as_json:
        parts = {"message_id": notice.message_id, "text": notice.text, "html": notice.html}
        actions = [asdict(action) for action in notice.actions]
        print_json({"notice": {**asdict(notice.listed), **parts, "actions": actions}})
        return
    text = notice.text.rstrip() if notice.text else "(its text was deleted, as the settings say)"
    for line in [*_headers(notice, sender), "", *text.splitlines()]:
        say(line)


def _write_html(notice: WholeNotice, path: Path) -> None:
    if not notice.html:
        complain(f"notice {notice.listed.id} has no HTML part: it is fallback text, or was deleted")
        raise typer.Exit(ExitStatus.USAGE)
    try:
        path.write_text(notice.html, encoding="utf-8")
    except OSError as problem:
        complain(f"{path} cannot be written ({problem.strerror})")
        raise typer.Exit(ExitStatus.USAGE) from None


def _headers(notice: WholeNotice, sender: str) -> list[str]:
    """First what we know of the notice, then what its reader sees."""
    listed = notice.listed
    facts = [
        ("Notice", f"{listed.id}, written {moment(listed.created_at)}"),
        ("Status", " ".join(filter(None, [listed.status, moment(listed.sent_at)]))),
        ("Tenant", listed.tenant_id or ""),
        ("Why", listed.why),
        ("Last error", listed.last_error or ""),
        *(("Operator", _done(action)) for action in notice.actions),
        ("From", sender),
        ("To", listed.recipient),
        ("Subject", listed.subject),
    ]
    return [f"{caption}: {value}" for caption, value in facts if value]


def _done(action: PastAction) -> str:
    reason = f", {action.reason}" if action.reason else ""
    return f"{moment(action.at)} {action.who}: {action.action}{reason}"


@app.command(epilog="Example: harvest-monitor notices release --all --reason 'Greenhouse confirmed it'")
def release(ids: list[int] | None = Ids, every: bool = AllHeld, reason: str = Reason) -> None:
    """Send held notices after all."""
    _ask_about_all(ids, every, "Send")

    async def act(db: Database, _: Settings) -> list[int]:
        return await operator_actions.release(db, utc_now(), who(), reason, ids or None)

    typer.echo(f"{counted(len(with_database(act)), 'notice')} released")


def _ask_about_all(ids: list[int] | None, every: bool, what: str) -> None:
    """Without numbers a person at a terminal is asked; a script must say --all."""
    if ids and every:
        raise typer.BadParameter("give the numbers of the notices, or --all")
    if ids or every:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.BadParameter("give the numbers of the notices, or --all")

    async def count(db: Database, _: Settings) -> int:
        return await operator_actions.count_held(db)

    typer.confirm(f"{what} all that are held ({counted(with_database(count), 'notice')})?", abort=True)


@app.command(epilog="Example: harvest-monitor notices retry 17 --reason 'corrected the address'")
def retry(
    ids: list[int] | None = typer.Argument(None, metavar="NUMBER", help="Numbers of failed notices."),
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
    typer.echo(f"{counted(len(retried), 'notice')} will be tried again")
    for number in sorted(set(ids or ()) - set(retried)):
        tell(f"notice {number} has not failed, so it is not retried")


@app.command(epilog="Example: harvest-monitor notices drop 17 18 --reason 'our own mistake'")
def drop(
    ids: list[int] | None = typer.Argument(None, metavar="NUMBER", help="Numbers of held or failed notices."),
    every: bool = AllHeld,
    reason: str = Reason,
) -> None:
    """Never send held notices, or failed ones that you name."""
    _ask_about_all(ids, every, "Never send")

    async def act(db: Database, _: Settings) -> list[int]:
        return await operator_actions.drop(db, utc_now(), who(), reason, ids or None)

    typer.echo(f"{counted(len(with_database(act)), 'notice')} dropped")
