"""The command `harvest-monitor`: thin commands over the rest of the house."""

import sys

import click

from checks.errors import HarvestMonitorError
from monitor.check_document import ExitStatus
from monitor.cli.app import app
from monitor.cli.output import complain
from monitor.logs import LogFormat, LogLevel, configure, traceback_text


def main() -> None:
    """Runs the command line and exits with its status; nothing a user can cause ends in a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    # Before any setting is read: what a library says must never stand among results on stdout.
    configure(LogLevel.WARNING, LogFormat.AUTO, sys.stderr)
    try:
        result = app(args=arguments, prog_name="harvest-monitor", standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        return ExitStatus.USAGE
    except click.Abort:
        complain("stopped")
        return 130
    except HarvestMonitorError as problem:
        complain(str(problem))
        return ExitStatus.USAGE
    except BrokenPipeError:
        return ExitStatus.COMPLIANT
    except Exception as problem:
        complain(f"this should not have happened; please report it\n{traceback_text(problem)}")
        return ExitStatus.INTERNAL
    return result if isinstance(result, int) else ExitStatus.COMPLIANT
