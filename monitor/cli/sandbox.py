"""`sandbox`: an imitation of Greenhouse to try things on."""

import asyncio
from pathlib import Path

import typer

from monitor.cli.output import tell
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.scenario import read_scenario
from monitor.sandbox.server import serve

EXAMPLE = "Example: harvest-monitor sandbox --port 8765"


def command(
    scenario: Path | None = typer.Option(None, help="Accounts, keys and faults to begin with (docs/sandbox.md)."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8765, help="Port to listen on; 0 takes a free one."),
) -> None:
    """Imitate Greenhouse's Harvest API, with keys whose permissions you can untick.

    Point the other commands at it with HARVEST_MONITOR_HARVEST_URL, such as http://127.0.0.1:8765.
    """
    sandbox = read_scenario(scenario) if scenario else _first_account()
    try:
        asyncio.run(serve(sandbox, host, port, ready=lambda url: _say_where(sandbox, url)))
    except KeyboardInterrupt:
        tell("the sandbox is closed")


def _first_account() -> Sandbox:
    sandbox = Sandbox()
    sandbox.add_account("acme")
    sandbox.add_key("acme", "gem")
    return sandbox


def _say_where(sandbox: Sandbox, url: str) -> None:
    tell(f"the sandbox answers as Greenhouse at {url}, and is controlled at {url}/_sandbox/")
    for account in sandbox.accounts.values():
        for key in account.keys.values():
            tell(f"  {account.name}: {key.label}: key {key.text}")
