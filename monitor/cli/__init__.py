"""The command `harvest-monitor`: thin commands over the other packages."""

import io
import sys
from typing import Any

import typer

from checks.errors import HarvestMonitorError
from monitor.checking.check_document import CheckError, ExitStatus, document
from monitor.cli.app import app
from monitor.cli.console import complain, print_json
from monitor.logs import LogFormat, LogLevel, configure, traceback_text

PIPE_CLOSED = 141
"""What a shell reports for a program whose output pipe was closed: 128 + SIGPIPE."""

# typer bundles its own click, and exports only this leaf of the usage errors.
UsageError: type[Any] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line and exit with its status; nothing a user can cause ends in a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not end a command
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    # Before any setting is read: a library's log lines must never mix with results on stdout.
    configure(LogLevel.WARNING, LogFormat.AUTO, sys.stderr)
    try:
        result = app(args=arguments, prog_name="harvest-monitor", standalone_mode=False)
    except UsageError as problem:
        return _usage_error(arguments, problem)
    except (typer.Abort, KeyboardInterrupt):
        complain("stopped")
        return ExitStatus.STOPPED
    except HarvestMonitorError as problem:
        complain(str(problem))
        return ExitStatus.USAGE
    except SystemExit:
        return PIPE_CLOSED  # typer exits with 1 when the pipe is closed, which would read as drift
    except Exception as problem:
        complain(f"this should not have happened; please report it\n{traceback_text(problem)}")
        return ExitStatus.INTERNAL
    return result if isinstance(result, int) else ExitStatus.COMPLIANT


def _usage_error(arguments: list[str], problem: Any) -> ExitStatus:
    """Say what was wrong with the call. `check --json` still prints its JSON document."""
    if arguments[:1] == ["check"] and "--json" in arguments:
        print_json(document([], [CheckError(None, problem.format_message())]))
    problem.show()
    return ExitStatus.USAGE
