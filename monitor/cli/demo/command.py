"""`demo`: the product's main job on one machine, in two minutes, without an account anywhere."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import typer
from rich.console import Console

from monitor.cli.database import who
from monitor.cli.demo.journal import open_journal
from monitor.cli.demo.pages import HOST, PORT, free_port, operator_link
from monitor.cli.demo.recovery import show_recovery
from monitor.cli.demo.script import DemoScript
from monitor.cli.demo.setup import DemoSetup, set_up
from monitor.config import settings_loader
from monitor.logs import LogFormat, LogLevel, configure
from monitor.sandbox.server.run import running
from monitor.store.database import open_database

EXAMPLE = "Example: harvest-monitor demo --once --folder /tmp/demo"
COMMANDS_TO_TRY = (
    "history --tenant initech",
    "tenants show oscorp",
    "tenants migration",
    "notices list",
    "web link --role operator",
)


def command(
    once: bool = typer.Option(False, "--once", help="End when the demo is over."),
    restart: bool = typer.Option(False, "--anew", help="Start over, even if an earlier demo was cut off."),
    folder: Path = typer.Option(
        Path("demo"),
        metavar="FOLDER",
        help="For settings, database and emails; emptied unless a demo in it was cut off.",
    ),
) -> None:
    """Start a sandbox and the service, let an admin untick permissions, and show what is found, recorded and emailed.

    You can kill it at any time (kill -9): the next demo says what it finds, and continues.
    """
    with open_journal(folder) as journal:
        if restart or not journal.is_cut_off:
            journal.restart()
        asyncio.run(_play(set_up(journal), once))


async def _play(setup: DemoSetup, once: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = await free_port()
    async with running(setup.sandbox) as sandbox_url:
        setup.point_at(sandbox_url, f"{HOST}:{port}")
        os.environ["HARVEST_MONITOR_CONFIG"] = str(setup.config)
        with (setup.folder / "service.log").open("w", encoding="utf-8") as log:
            configure(LogLevel.INFO, LogFormat.JSON, log)
            if setup.database.exists():
                await show_recovery(settings_loader.load(), _console())
            await _beside_the_service(setup, sandbox_url, stop, once)
    if _console().is_terminal:
        _console().print("\nThe demo has ended, and its pages are gone. Start it again for new ones.")


async def _beside_the_service(setup: DemoSetup, sandbox_url: str, stop: asyncio.Event, once: bool) -> None:
    """The end of the script stops the service. So does a signal, which then stops the script, too."""
    # These take half a second to import, which other commands should not wait for.
    from monitor.service import serve
    from monitor.web.pages import style

    site_url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = serve(settings_loader.load(), stop, ready=site_url.set_result, more_pages=[style.router])
    service = asyncio.create_task(serving)
    # If the service ends before it is ready, the wait below ends, too.
    service.add_done_callback(lambda _: site_url.cancel())
    await asyncio.wait([site_url])
    if site_url.cancelled():
        return await service
    script = asyncio.create_task(_play_script(setup, site_url.result(), sandbox_url, once))
    await asyncio.wait({script, service}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    # result() raises what ended the script early.
    script.cancel() if not script.done() else script.result()
    await service


async def _play_script(setup: DemoSetup, site_url: str, sandbox_url: str, once: bool) -> None:
    console = _console()
    db = await open_database(settings_loader.load().database)
    try:
        _show_link(console, await operator_link(db, site_url, who()), site_url)
        await DemoScript(setup, db, console).play()
    finally:
        await db.close()
    console.print("\n[bold]What to try next[/]")
    for command_line in COMMANDS_TO_TRY:
        console.print(f"   HARVEST_MONITOR_CONFIG={setup.config} {sys.argv[0]} {command_line}")
    if not once:
        console.print(f"   decide about the held emails: {site_url}/notices?status=held")
        console.print(f"   untick a permission yourself: {sandbox_url}/_sandbox/")
        console.print(f"   every part of the pages: {site_url}/style; metrics: {site_url}/metrics")
        console.print("\nThe service and its pages run until you press Ctrl-C.")
        await asyncio.Event().wait()


def _show_link(console: Console, link: str, site_url: str) -> None:
    console.print("[bold]The pages[/] (as an operator: one button signs you in, as long as the demo runs)")
    console.print(f"   {link}")
    if not site_url.endswith(f":{PORT}"):
        console.print(f"   Port {PORT} is taken, so this is another.")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
