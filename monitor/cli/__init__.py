"""The command `harvest-monitor`: thin commands over the other packages."""

import io
import re
import sys
from typing import Any

import typer

from checks.errors import HarvestMonitorError
from monitor.checking.check_document import CheckError, ExitStatus, document
from monitor.cli.app import app
from monitor.cli.console import complain, print_json, tell
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
    except SystemExit as end:
        # Completion exits with 0. With 1 typer exits when the pipe is closed, which would read as drift.
        return PIPE_CLOSED if end.code else ExitStatus.COMPLIANT
    except Exception as problem:
        complain(f"this should not have happened; please report it\n{traceback_text(problem)}")
        return ExitStatus.INTERNAL
    return result if isinstance(result, int) else ExitStatus.COMPLIANT


def _usage_error(arguments: list[str], problem: Any) -> ExitStatus:
    """Say what was wrong with the call. `check --json` still prints its JSON document."""
    if type(problem).__name__ == "NoArgsIsHelpError":
        return ExitStatus.USAGE  # the help page is printed already
    message = in_plain_words(problem.format_message())
    if _command_of(arguments) == "check" and "--json" in arguments:
        print_json(document([], [CheckError(None, message)]))
    complain(message)
    if problem.ctx is not None:
        tell(f"`{problem.ctx.command_path} --help` shows what it takes")
    return ExitStatus.USAGE


def _command_of(arguments: list[str]) -> str | None:
    """The first word that is neither an option nor the value of `--config`."""
    words = iter(arguments)
    for word in words:
        if word == "--config":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def in_plain_words(message: str) -> str:
    """What typer and pydantic say of a wrong value, without the words of Python: `--limit: must be a whole number`."""
    for said, plain in _PLAIN_WORDS:
        message = re.sub(said, plain, message)
    return message


_PLAIN_WORDS = (
    (r"^Invalid value for '?([^':]+)'?: ", r"\1: "),
    (r"^Invalid value: ", ""),
    (r"^Missing (?:option|argument) '([^']+)'", r"\1 is missing"),
    (r"^Option '([^']+)' requires an argument", r"\1 needs a value"),
    (r"^No such option: ", "there is no option "),
    (r"^No such command '([^']+)'", r"there is no command \1"),
    (r"^Got unexpected extra argument\(s\) \((.*)\)", r"nothing more is taken behind the rest: leave out \1"),
    (r"Value error, ", ""),
    (r"Input should be a valid integer, unable to parse string as an integer", "must be a whole number"),
    (r"Input should be a valid number, unable to parse string as a number", "must be a number"),
    (r"Input should be greater than or equal to (\S+)", r"must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"must be at most \1"),
    (r"is not one of ", "is none of "),
    (r"\.$", ""),
)
