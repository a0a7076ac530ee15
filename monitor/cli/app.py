"""The tree of commands."""

import typer

from monitor.cli import check, doctor, history, manifest, notices, report, serve, status, tenants, tokens, web, writes
from monitor.cli.db import commands
from monitor.cli.demo import command
from monitor.cli.sandbox import run
from monitor.version import VERSION

app = typer.Typer(
    name="harvest-monitor",
    help="Checks every tenant's Greenhouse Harvest credential against a permission manifest, and changes nothing.",
    epilog="Settings come from HARVEST_MONITOR_* variables and from the TOML file that HARVEST_MONITOR_CONFIG names. "
    "First steps: harvest-monitor demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harvest-monitor {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
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
