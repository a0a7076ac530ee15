"""`tokens create|list|revoke`: tokens for the API."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import typer
from sqlalchemy import Row

from monitor.checking.check_document import ExitStatus
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import complain, print_json, print_table, tell
from monitor.cli.database import moment, who, with_database
from monitor.clock import utc_now
from monitor.config.setting_types import parse_duration
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.web.auth import token_actions
from monitor.web.auth.role import AccessRole
from monitor.web.auth.token_actions import NewToken

app = CommandTree(
    help="Create, list and revoke tokens for the API.",
    epilog="Example: harvest-monitor tokens list",
    no_args_is_help=True,
)
SHOWN = ("id", "name", "role", "owner", "created_at", "expires_at", "last_used_at", "revoked_at")


@app.command(epilog="Example: harvest-monitor tokens create --name grafana --role viewer --expires 90d")
def create(
    name: str = typer.Option(..., help="What it is for; no two tokens in force have one name."),
    role: AccessRole = typer.Option(..., help="A viewer reads; an operator also acts."),
    expires: str = typer.Option("90d", metavar="DURATION", help="How long it is valid: 12h, 90d, or `never`."),
    owner: str | None = typer.Option(None, metavar="NAME", help="Who answers for it; you, if left out."),
) -> None:
    """Create a token and print it, this once: only its digest is stored."""
    wanted = NewToken(name, role, owner or who(), _lasts(expires))

    async def act(db: Database, _: Settings) -> str:
        return await token_actions.create_token(db, wanted, who(), utc_now(), secrets.token_bytes)

    typer.echo(with_database(act))
    tell("Keep it where secrets are kept: it is not shown again. Send it in the header Authorization: Bearer …")


def _lasts(expires: str) -> timedelta | None:
    if expires == "never":
        return None
    try:
        return parse_duration(expires)
    except ValueError as problem:
        raise ConfigurationError(f"--expires {problem}, or `never`") from None


@app.command("list", epilog="Example: harvest-monitor tokens list --json")
def list_(as_json: bool = typer.Option(False, "--json", help="Print one JSON document.")) -> None:
    """Every token ever created, the newest first, without the tokens themselves."""

    async def ask(db: Database, _: Settings) -> Sequence[Row[Any]]:
        return await token_actions.token_listing(db)

    found, now = with_database(ask), utc_now()
    if as_json:
        print_json({"tokens": [{name: getattr(token, name) for name in SHOWN} for token in found]})
        return
    print_table(
        ["ID", "NAME", "ROLE", "OWNER", "CREATED", "LAST USED", "STATE"],
        [(t.id, t.name, t.role, t.owner, moment(t.created_at), moment(t.last_used_at), _state(t, now)) for t in found],
        empty="no token was ever created",
    )


def _state(token: Row[Any], now: datetime) -> str:
    if token.revoked_at is not None:
        return f"revoked {moment(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    return f"{'expired' if token.expires_at <= now else 'valid until'} {moment(token.expires_at)}"


@app.command(epilog="Example: harvest-monitor tokens revoke grafana")
def revoke(token: str = typer.Argument(..., help="Its name or its id.")) -> None:
    """End a token at once."""

    async def act(db: Database, _: Settings) -> bool:
        return await token_actions.revoke_token(db, token, who(), utc_now())

    if not with_database(act):
        complain("no token in force has this name or id; `harvest-monitor tokens list` shows all")
        raise typer.Exit(ExitStatus.USAGE)
    typer.echo(f"{token} is revoked")
