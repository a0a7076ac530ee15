"""The real command accepts every command line in the docs."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from monitor.checking.check_document import CheckError, ExitStatus, exit_status
from monitor.cli.app import app
from tests.cases import for_each
from tests.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = ROOT / "docs" / "commands.md"
OPERATORS = set("|&;<>")


def code(page: Path) -> Iterator[str]:
    """Each line of a code block, and each piece of code in the text."""
    fenced = False
    for line in re.sub(r" \\\n *", " ", page.read_text("utf-8")).splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def command_lines(text: str) -> Iterator[tuple[str, ...]]:
    """The arguments of each call of harvest-monitor in a shell line, or after ExecStart=."""
    if "harvest-monitor " not in text:
        return
    lexer = shlex.shlex(text.removeprefix("ExecStart="), posix=True, punctuation_chars="".join(OPERATORS))
    lexer.wordchars += "@"
    call: list[str] = []
    for token in [*lexer, ";"]:
        if not OPERATORS.issuperset(token):
            call.append(token)
            continue
        name, *arguments = without_prefix(call) or [""]
        if Path(name).name == "harvest-monitor" and arguments:
            yield tuple(arguments)
        call = []


def without_prefix(call: list[str]) -> list[str]:
    """Without prompt, sudo and its options, and variables."""
    words = iter(enumerate(call))
    for index, word in words:
        if word == "-u":
            next(words)
        elif word not in ("$", "sudo") and not word.startswith("--") and not re.match(r"[A-Z_]+=", word):
            return call[index:]
    return []


SHOWN = [(page, arguments) for page in PAGES for text in code(page) for arguments in command_lines(text)]


def command_of(arguments: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command that these arguments select, and the arguments left for it."""
    command: Any = typer.main.get_command(app)
    rest = without_config(arguments)
    while hasattr(command, "commands"):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break
        assert rest, "a group of commands without a command"
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def without_config(arguments: tuple[str, ...]) -> list[str]:
    """Every command takes `--config FILE`; the file of an example is on its reader's machine."""
    rest = list(arguments)
    if "--config" in rest:
        place = rest.index("--config")
        del rest[place : place + 2]
    return rest


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something, by name."""
    children = getattr(command, "commands", {})
    if not children or command.invoke_without_command:
        yield " ".join(path)
    for name, child in children.items():
        yield from leaves(child, (*path, name))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("harvest-monitor tenants list", [("tenants", "list")]),
        ("$ A=b harvest-monitor check --json | jq .", [("check", "--json")]),
        ("sudo -u harvest-monitor --preserve-env=A harvest-monitor check acme  # one", [("check", "acme")]),
        ("ExecStart=/opt/harvest-monitor/bin/harvest-monitor serve", [("serve",)]),
        ("sudo ln -s /opt/harvest-monitor/bin/harvest-monitor /usr/local/bin/", []),  # a path, not a call
        ("User=harvest-monitor ", []),
        ("harvest-monitor demo && harvest-monitor serve", [("demo",), ("serve",)]),
    ],
)
def test_calls_are_found_in_shell(text: str, found: list[tuple[str, ...]]) -> None:
    """A call found in the docs is what a shell would call."""
    assert list(command_lines(text)) == found


@for_each(SHOWN, ids=lambda shown: f"{shown[0].name}: {' '.join(shown[1])}")
def test_every_command_line_in_the_docs_parses(shown: tuple[Path, tuple[str, ...]]) -> None:
    """The command exists and accepts these options and values."""
    command, rest = command_of(shown[1])
    assert command.make_context(command.name, rest).command is command


def test_readme_and_commands_show_command_lines() -> None:
    """The test above finds the command lines it is meant for."""
    assert {page for page, _ in SHOWN} >= {ROOT / "README.md", COMMANDS}


def test_every_command_has_a_row_with_an_example_of_itself() -> None:
    """docs/commands.md has every command, and no other."""
    rows = re.findall(r"^\| `([a-z0-9 -]+)` \| .+ \| `harvest-monitor ([^`]+)` \|$", COMMANDS.read_text("utf-8"), re.M)
    assert sorted(name for name, _ in rows) == sorted(leaves(typer.main.get_command(app)))
    for name, example in rows:
        assert f"{example} ".startswith(f"{name} ")


def test_exit_statuses_are_documented_in_order() -> None:
    """docs/commands.md has each exit status of `check`, the highest-ranking first."""
    documented = [int(number) for number in re.findall(r"^\| (\d+) \| ", COMMANDS.read_text("utf-8"), re.M)]
    assert sorted(documented) == sorted(ExitStatus)
    for higher, lower in pairwise(documented):
        errors = [CheckError(None, "", ExitStatus(lower)), CheckError(None, "", ExitStatus(higher))]
        assert exit_status([], errors) == higher
