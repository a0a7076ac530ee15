"""The tree of commands."""

import os
from pathlib import Path

import typer

from monitor.cli import check, doctor, history, manifest, notices, report, serve, status, tenants, tokens, web, writes
from monitor.cli.command_tree import CommandTree
from monitor.cli.db import commands
from monitor.cli.demo import command
from monitor.cli.sandbox import run
from monitor.config.config_file import CONFIG
from monitor.version import VERSION

app = CommandTree(
    name="harvest-monitor",
    help="Checks every tenant's Greenhouse Harvest credential against a permission manifest, and changes nothing.",
    epilog="Settings come from HARVEST_MONITOR_* variables and, below them, from one TOML file: --config, or the "
    "variable HARVEST_MONITOR_CONFIG.\n\nExample: harvest-monitor demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harvest-monitor {VERSION}")
        raise typer.Exit


def _choose_config(file: Path | None) -> None:
    """For this process and those that it starts: the option is the variable, in so many words."""
    if file is None:
        return
    if not file.is_file():
        raise typer.BadParameter(f"there is no file {file}: correct the path", param_hint="--config")
    os.environ[CONFIG] = str(file)


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
    config: Path | None = typer.Option(
        None,
        "--config",
        callback=_choose_config,
        is_eager=True,
        expose_value=False,
        help="Read the settings from this TOML file.",
    ),
) -> None:
    pass


app.command("demo", epilog=command.EXAMPLE)(command.command)
app.command("serve", epilog=serve.EXAMPLE)(serve.command)
app.command("check", epilog=check.EXAMPLE)(check.command)
app.command("status", epilog=status.EXAMPLE)(status.command)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.command)
app.add_typer(tenants.app, name="tenants")
app.add_typer(history.app, name="history")
app.command("report", epilog=report.EXAMPLE)(report.command)
app.add_typer(notices.app, name="notices")
app.add_typer(manifest.app, name="manifest")
app.add_typer(writes.app, name="writes")
app.add_typer(web.app, name="web")
app.add_typer(tokens.app, name="tokens")
app.add_typer(commands.app, name="db")
app.add_typer(run.app, name="sandbox")
