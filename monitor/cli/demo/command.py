"""`demo`: the product's main job on one machine, in two minutes, without an account anywhere."""

import asyncio
import os
import signal
from pathlib import Path

import typer
from rich.console import Console

from monitor.cli.console import tell
from monitor.cli.database import who
from monitor.cli.demo.glossary import INTRODUCTION
from monitor.cli.demo.hints import next_steps, what_stays
from monitor.cli.demo.journal import open_journal
from monitor.cli.demo.live_feed import LiveFeed
from monitor.cli.demo.pages import HOST, PORT, free_port, operator_link
from monitor.cli.demo.recovery import show_recovery
from monitor.cli.demo.script import DemoScript
from monitor.cli.demo.setup import DemoSetup, set_up
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.config.settings import PREFIX
from monitor.logs import LogFormat, LogLevel, configure
from monitor.sandbox.server.run import running
from monitor.store.database import open_database

EXAMPLE = "Example: harvest-monitor demo --once --folder /tmp/demo"


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

    Afterwards it shows live what is found and emailed when you untick something yourself, until Ctrl-C.

    You can kill it at any time (kill -9): the next demo says what it finds, and continues.
    """
    _leave_settings_aside()
    with open_journal(folder) as journal:
        if restart or not journal.is_cut_off:
            journal.restart(utc_now())
        setup = set_up(journal)
        asyncio.run(_play(setup, once))
    _console().print()
    for line in what_stays(setup):
        _console().print(line, markup=False)


def _leave_settings_aside() -> None:
    """The demo has its own; a variable would go over them, and lead it to somebody's real database."""
    variables = sorted(name for name in os.environ if name.startswith(PREFIX))
    for variable in variables:
        del os.environ[variable]
    if variables:
        tell(f"the demo has its own settings, so these are left aside: {', '.join(variables)}")


async def _play(setup: DemoSetup, once: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = await free_port()
    async with running(setup.sandbox) as sandbox_url:
        setup.point_at(sandbox_url, f"{HOST}:{port}")
        os.environ["HARVEST_MONITOR_CONFIG"] = str(setup.config)
        with setup.log.open("w", encoding="utf-8") as log:
            configure(LogLevel.INFO, LogFormat.JSON, log)
            if setup.database.exists():
                await show_recovery(settings_loader.load(), _console())
            await _beside_the_service(setup, sandbox_url, stop, once)


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
        console.print("\n[bold]What to try next[/]" + ("" if once else ", in another terminal"))
        for line in next_steps(setup):
            console.print(f"   {line}", markup=False)
        if not once:
            await _go_on(LiveFeed(setup, db, console), console, site_url, sandbox_url)
    finally:
        await db.close()


async def _go_on(feed: LiveFeed, console: Console, site_url: str, sandbox_url: str) -> None:
    console.print("[bold]And in the browser[/]")
    console.print(f"   decide about the held emails: {site_url}/notices?status=held")
    console.print(f"   see every part of the pages: {site_url}/style")
    console.print(f"   see the metrics: {site_url}/metrics")
    console.print(f"   untick a permission yourself: {sandbox_url}/_sandbox/")
    console.print("\n[bold]From now on, live:[/] what is found and emailed. A permission that you untick is")
    console.print("found within ten seconds, and emailed a few seconds later. Ctrl-C ends the demo.")
    await feed.start()
    await feed.run()


def _show_link(console: Console, link: str, site_url: str) -> None:
    for line in INTRODUCTION:
        console.print(line)
    console.print()
    console.print("[bold]The pages[/] (as an operator: one button signs you in, as long as the demo runs)")
    console.print(f"   {link}")
    if not site_url.endswith(f":{PORT}"):
        console.print(f"   Port {PORT} is taken, so this is another.")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
