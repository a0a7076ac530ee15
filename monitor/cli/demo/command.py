"""`demo`: the main job on one machine, in two minutes, without an account anywhere."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import typer
from rich.console import Console

from monitor.cli.demo.journal import opened
from monitor.cli.demo.recovery import tell_remains
from monitor.cli.demo.script import DemoScript
from monitor.cli.demo.setup import DemoSetup, set_up
from monitor.config import settings as settings_module
from monitor.logs import LogFormat, LogLevel, configure
from monitor.sandbox.server import running
from monitor.store.database import open_database

EXAMPLE = "Example: harvest-monitor demo --once --folder /tmp/demo"


def command(
    once: bool = typer.Option(False, "--once", help="End by itself when the story is told."),
    anew: bool = typer.Option(False, "--anew", help="Begin again, also where an earlier demo was cut off."),
    folder: Path = typer.Option(
        Path("demo"), help="Where settings, database and mails go; emptied unless a demo in it was cut off."
    ),
) -> None:
    """Start a sandbox and the service, let an admin untick permissions, and show what is found, recorded and mailed.

    Pull the plug at any moment (kill -9): the next demo says what it finds, and goes on.
    """
    with opened(folder) as book:
        if anew or not book.is_cut_off:
            book.begin_anew()
        asyncio.run(_play(set_up(book), once))


async def _play(stage: DemoSetup, once: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(stage.sandbox) as sandbox_url:
        stage.point_at(sandbox_url)
        os.environ["HARVEST_MONITOR_CONFIG"] = str(stage.config)
        with (stage.folder / "service.log").open("w", encoding="utf-8") as log:
            configure(LogLevel.INFO, LogFormat.JSON, log)
            if stage.database.exists():
                await tell_remains(settings_module.load(), _console())
            await _beside_the_service(stage, sandbox_url, stop, once)


async def _beside_the_service(stage: DemoSetup, sandbox_url: str, stop: asyncio.Event, once: bool) -> None:
    """The story ends the service; so does a signal, and then it ends the story, too."""
    from monitor.service import serve  # half a second that no other command has to wait

    metrics_url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    service = asyncio.create_task(serve(settings_module.load(), stop, ready=metrics_url.set_result))
    service.add_done_callback(lambda _: metrics_url.cancel())
    await asyncio.wait([metrics_url])
    if metrics_url.cancelled():
        return await service
    story = asyncio.create_task(_tell(stage, metrics_url.result(), sandbox_url, once))
    await asyncio.wait({story, service}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    story.cancel() if not story.done() else story.result()
    await service


async def _tell(stage: DemoSetup, metrics_url: str, sandbox_url: str, once: bool) -> None:
    console = _console()
    db = await open_database(settings_module.load().database)
    try:
        await DemoScript(stage, db, console).tell()
    finally:
        await db.close()
    console.print("\n[bold]What to type next[/]")
    for command_line in ("history --tenant initech", "tenants show oscorp", "tenants migration", "notices list"):
        console.print(f"   HARVEST_MONITOR_CONFIG={stage.config} {sys.argv[0]} {command_line}")
    if not once:
        console.print(f"   metrics: {metrics_url}/metrics")
        console.print(f"   untick something yourself: {sandbox_url}/_sandbox/")
        console.print("\nThe service goes on until you press Ctrl-C.")
        await asyncio.Event().wait()


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
