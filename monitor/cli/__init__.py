"""The command `harvest-monitor`: thin commands over the rest of the house."""

import io
import sys
from typing import Any

import typer

from checks.errors import HarvestMonitorError
from monitor.checking.check_document import CheckError, ExitStatus, document
from monitor.cli.app import app
from monitor.cli.console import complain, print_json
from monitor.logs import LogFormat, LogLevel, configure, traceback_text

READER_GONE = 141
"""What a shell reports of a program whose reader went away: 128 + SIGPIPE."""

# typer brings a click of its own and exports of its usage errors this leaf only.
UsageError: type[Any] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Runs the command line and exits with its status; nothing a user can cause ends in a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not end a command
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    # Before any setting is read: what a library says must never stand among results on stdout.
    configure(LogLevel.WARNING, LogFormat.AUTO, sys.stderr)
    try:
        result = app(args=arguments, prog_name="harvest-monitor", standalone_mode=False)
    except UsageError as problem:
        return _misused(arguments, problem)
    except (typer.Abort, KeyboardInterrupt):
        complain("stopped")
        return ExitStatus.STOPPED
    except HarvestMonitorError as problem:
        complain(str(problem))
        return ExitStatus.USAGE
    except SystemExit:
        return READER_GONE  # typer exits with 1 when the pipe is closed, which would read as drift
    except Exception as problem:
        complain(f"this should not have happened; please report it\n{traceback_text(problem)}")
        return ExitStatus.INTERNAL
    return result if isinstance(result, int) else ExitStatus.COMPLIANT


def _misused(arguments: list[str], problem: Any) -> ExitStatus:
    """Say what was wrong with the call; whoever asked `check` for JSON gets its document all the same."""
    if arguments[:1] == ["check"] and "--json" in arguments:
        print_json(document([], [CheckError(None, problem.format_message())]))
    problem.show()
    return ExitStatus.USAGE
