"""`sandbox`: an imitation of Greenhouse and of a mail server, and the commands that control one that runs."""

import asyncio
import time
from pathlib import Path

import typer

from monitor.cli.command_tree import CommandTree
from monitor.cli.console import tell
from monitor.cli.sandbox import admin, faults
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.scenario import read_scenario
from monitor.sandbox.server.run import Place, serve
from monitor.store.sqlite_file import write_lock

_LONGEST_HOLD = 3600
app = CommandTree(
    invoke_without_command=True,
    epilog="Example: harvest-monitor sandbox --port 8765",
)
app.command("weather", epilog=faults.WEATHER_EXAMPLE)(faults.activate_preset)
app.add_typer(faults.fault_app, name="fault")
app.command("untick", help=admin.UNTICK_HELP, epilog=admin.UNTICK_EXAMPLE)(admin.ticking("/revoke"))
app.command("tick", help=admin.TICK_HELP, epilog=admin.TICK_EXAMPLE)(admin.ticking("/grant"))
app.command("kill", help=admin.KILL_HELP, epilog=admin.KILL_EXAMPLE)(admin.switching("/kill"))
app.command("enable", help=admin.ENABLE_HELP, epilog=admin.ENABLE_EXAMPLE)(admin.switching("/enable"))
app.command("token", epilog=admin.TOKEN_EXAMPLE)(admin.token)
app.command("mails", epilog=faults.MAILS_EXAMPLE)(faults.mails)


@app.callback()
def run(
    context: typer.Context,
    scenario: Path | None = typer.Option(
        None, help="A file with the initial accounts, keys, clients and faults (docs/sandbox.md)."
    ),
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8765, metavar="PORT", help="Port to listen on; 0 picks a free one."),
    mail_port: int | None = typer.Option(
        None, metavar="PORT", help="Port of the mail server. Default: the one after --port."
    ),
    mail_certificate: Path | None = typer.Option(
        None, help="Offer STARTTLS with this PEM file, which contains a certificate and its key."
    ),
) -> None:
    """Imitate Greenhouse's Harvest API, with keys and v3 clients whose permissions you can untick, and a mail server.

    Point the other commands at it with HARVEST_MONITOR_HARVEST_URL and HARVEST_MONITOR_AUTH_URL, both such as
    http://127.0.0.1:8765, and HARVEST_MONITOR_SMTP_URL, such as smtp://127.0.0.1:8766?tls=none. The commands below
    control a sandbox that already runs.
    """
    if context.invoked_subcommand is not None:
        return _refuse_options(context)
    sandbox = read_scenario(scenario) if scenario else _default_sandbox()
    # Port 0 stays 0 for mail, too: the system picks both.
    place = Place(host, port, mail_port if mail_port is not None else port and port + 1, mail_certificate)
    try:
        asyncio.run(serve(sandbox, place, ready=lambda url: _show_addresses(sandbox, url)))
    except KeyboardInterrupt:
        tell("the sandbox is stopped")


@app.command("hold-database", epilog="Example: harvest-monitor sandbox hold-database monitor.sqlite3 --for 60s")
def hold_database(
    file: Path = typer.Argument(help="A SQLite database of Harvest Monitor; its contents are not changed."),
    duration: str = typer.Option("60s", "--for", metavar="DURATION", help="How long; at most an hour."),
) -> None:
    """Keep a database locked so that nobody can write to it, as a backup or a forgotten shell does; Ctrl-C unlocks."""
    seconds = faults.seconds_of(duration)
    if seconds > _LONGEST_HOLD:
        raise typer.BadParameter("at most an hour", param_hint="--for")
    with write_lock(file):
        tell(f"{file} is locked for {seconds:g} seconds")
        try:
            time.sleep(seconds)
        except KeyboardInterrupt:
            tell("stopped early")
    tell(f"{file} is unlocked")


def _refuse_options(context: typer.Context) -> None:
    """`--port` before a command is a mistake: options for starting a sandbox do not select a running one."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise typer.BadParameter(
            f"is for starting a sandbox; {context.invoked_subcommand} finds a running one by --url",
            param_hint=f"--{given[0].replace('_', '-')}",
        )


def _default_sandbox() -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_account("acme")
    sandbox.add_key("acme", "gem")
    sandbox.add_client("acme", "gem")
    return sandbox


def _show_addresses(sandbox: Sandbox, url: str) -> None:
    tell(f"the sandbox answers as Greenhouse at {url}, and is controlled at {url}/_sandbox/")
    for account in sandbox.accounts.values():
        for key in sandbox.keys.of(account):
            tell(f"  {account.name}: {key.label}: key {key.text}")
        for client in sandbox.clients.of(account):
            tell(f"  {account.name}: {client.label}: client {client.client_id}, secret {client.secret} (v3)")
    tell(f"it accepts mails at smtp://{sandbox.mailbox.address}?tls=none, and passes none on")
