"""`web link|sessions|revoke`: signing in to the pages."""

import secrets
from collections.abc import Sequence
from typing import Any

import typer
from sqlalchemy import Row

from monitor.checking.check_document import ExitStatus
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import complain, print_json, print_table, tell
from monitor.cli.database import moment, who, with_database
from monitor.clock import utc_now
from monitor.config.settings import PREFIX, Settings, SignInMode
from monitor.errors import ConfigurationError
from monitor.notices.wording import counted
from monitor.store.database import Database
from monitor.web.auth import session_actions
from monitor.web.auth.role import AccessRole
from monitor.web.auth.session_actions import LINK_VALID_FOR, LinkHolder

app = CommandTree(
    help="Sign in to the pages; see who is signed in, and sign them out.",
    epilog="Example: harvest-monitor web link",
    no_args_is_help=True,
)
SHOWN = ("id", "name", "role", "source", "created_at", "last_seen_at", "expires_at", "user_agent")


@app.command(epilog="Example: harvest-monitor web link --role operator")
def link(
    role: AccessRole = typer.Option(AccessRole.VIEWER, help="A viewer reads; an operator also acts."),
    name: str | None = typer.Option(None, help="Whom it signs in; you, if left out."),
) -> None:
    """Print a link that signs in once, within ten minutes. Also works while the service runs."""
    holder = LinkHolder(name or who(), role)

    async def act(db: Database, settings: Settings) -> str:
        address = _address(settings)
        secret = await session_actions.create_link(db, holder, who(), utc_now(), secrets.token_bytes)
        return f"{address}/sign-in/link/{secret}"

    typer.echo(with_database(act))
    minutes = int(LINK_VALID_FOR.total_seconds() // 60)
    tell(f"It signs in {holder.name} as {role}: once, within {minutes} minutes, while `harvest-monitor serve` runs.")


def _address(settings: Settings) -> str:
    """Where people reach the pages."""
    if settings.sign_in is not SignInMode.LINK:
        raise ConfigurationError(
            f"{PREFIX}SIGN_IN={settings.sign_in} accepts no links: sign in there, or set {PREFIX}SIGN_IN=link"
        )
    if settings.public_url is not None:
        return settings.public_url
    address = settings.listen_address
    if address.port == 0:
        raise ConfigurationError(f"{PREFIX}LISTEN leaves the port to the system: set {PREFIX}PUBLIC_URL")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104  # nothing listens here
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"


@app.command(epilog="Example: harvest-monitor web sessions --json")
def sessions(as_json: bool = typer.Option(False, "--json", help="Print one JSON document.")) -> None:
    """Who is signed in to the pages, the newest first."""

    async def ask(db: Database, _: Settings) -> Sequence[Row[Any]]:
        return await session_actions.listing(db, utc_now())

    found = with_database(ask)
    if as_json:
        print_json({"sessions": [{name: getattr(session, name) for name in SHOWN} for session in found]})
        return
    print_table(
        ["SESSION", "WHO", "ROLE", "BY", "SIGNED IN", "LAST SEEN", "ENDS", "BROWSER"],
        [
            (
                s.id,
                s.name,
                s.role,
                s.source,
                moment(s.created_at),
                moment(s.last_seen_at),
                moment(s.expires_at),
                s.user_agent,
            )
            for s in found
        ],
        empty="nobody is signed in",
    )


@app.command(epilog="Example: harvest-monitor web revoke --all")
def revoke(
    session: str | None = typer.Argument(None, help="The session, as `web sessions` shows it."),
    every: bool = typer.Option(False, "--all", help="All sessions."),
) -> None:
    """Sign somebody out, or everybody."""
    if (session is None) != every:
        raise typer.BadParameter("give a session, or --all")

    async def act(db: Database, _: Settings) -> int:
        if session is None:
            return await session_actions.revoke_all(db, who(), utc_now())
        return int(await session_actions.revoke(db, session, who(), utc_now()))

    count = with_database(act)
    if session is not None and not count:
        complain(f"there is no session {session}; `harvest-monitor web sessions` shows all")
        raise typer.Exit(ExitStatus.USAGE)
    typer.echo(f"{counted(count, 'session')} ended")
