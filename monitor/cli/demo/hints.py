"""What to type next to the demo, and after it."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from monitor.cli.demo.setup import DemoSetup
from monitor.config.config_file import CONFIG
from monitor.notices.wording import counted

COMMANDS_TO_TRY = (
    "status",
    "history --tenant initech",
    "tenants show oscorp",
    "notices list",
    "tenants migration",
    "web link --role operator",
)


def next_steps(setup: DemoSetup) -> Iterator[str]:
    """For another terminal: one line that points commands at this demo, then the commands."""
    yield _export(setup)
    yield from (f"{_program()} {command}" for command in COMMANDS_TO_TRY)


def what_stays(setup: DemoSetup) -> Iterator[str]:
    """After the end: what is left where, and how to go on."""
    emails = len(list(setup.mail.glob("*.eml")))
    yield f"The demo has ended, and its pages with it. In {shown_path(setup.folder)}/ stay:"
    yield f"   {setup.database.name:<26}what was checked and found"
    yield f"   {setup.mail.name + '/':<26}{counted(emails, 'email')}, each as .html and .eml"
    yield f"   {setup.log.name:<26}what the service did"
    yield "To read on, without the service:"
    yield f"   {_export(setup)}"
    yield f"   {_program()} history"
    yield "To begin a new demo, which keeps these emails:"
    yield f"   {_program()} {_demo(setup)}"


def shown_path(path: Path) -> Path:
    """From the working directory where it is below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _export(setup: DemoSetup) -> str:
    """Right in every directory, although as short as the reader's own allows."""
    config = shown_path(setup.config)
    value = shlex.quote(str(config)) if config.is_absolute() else f'"$PWD"/{shlex.quote(str(config))}'
    return f"export {CONFIG}={value}"


def _program() -> str:
    """As its user can type it."""
    found = shutil.which("harvest-monitor")
    if found is not None and os.path.samefile(found, sys.argv[0]):
        return "harvest-monitor"
    return shlex.quote(str(shown_path(Path(sys.argv[0]).absolute())))


def _demo(setup: DemoSetup) -> str:
    folder = shown_path(setup.folder)
    return "demo" if str(folder) == "demo" else f"demo --folder {shlex.quote(str(folder))}"
