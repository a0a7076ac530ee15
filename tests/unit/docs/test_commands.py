"""The command lines in the docs are ones that the real command takes."""

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
    """Each line of a block of code, and each piece of code within the text."""
    fenced = False
    for line in re.sub(r" \\\n *", " ", page.read_text("utf-8")).splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def command_lines(text: str) -> Iterator[tuple[str, ...]]:
    """The arguments of each call of harvest-monitor in a line of shell, or behind ExecStart=."""
    if "harvest-monitor " not in text:
        return
    lexer = shlex.shlex(text.removeprefix("ExecStart="), posix=True, punctuation_chars="".join(OPERATORS))
    lexer.wordchars += "@"
    call: list[str] = []
    for token in [*lexer, ";"]:
        if not OPERATORS.issuperset(token):
            call.append(token)
            continue
        name, *arguments = without_introduction(call) or [""]
        if Path(name).name == "harvest-monitor" and arguments:
            yield tuple(arguments)
        call = []


def without_introduction(call: list[str]) -> list[str]:
    """Prompt, sudo with its options, and variables taken off."""
    words = iter(enumerate(call))
    for index, word in words:
        if word == "-u":
            next(words)
        elif word not in ("$", "sudo") and not word.startswith("--") and not re.match(r"[A-Z_]+=", word):
            return call[index:]
    return []


SHOWN = [(page, arguments) for page in PAGES for text in code(page) for arguments in command_lines(text)]


def command_of(arguments: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command that these arguments lead to, and those that are left for it."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break
        assert rest, "a group of commands, and none of them named"
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command of the tree that does something, by its name."""
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
        ("sudo ln -s /opt/harvest-monitor/bin/harvest-monitor /usr/local/bin/", []),  # a path, no call
        ("User=harvest-monitor ", []),
        ("harvest-monitor demo && harvest-monitor serve", [("demo",), ("serve",)]),
    ],
)
def test_calls_are_found_in_shell(text: str, found: list[tuple[str, ...]]) -> None:
    """What is taken for a call in the docs is what a shell would call."""
    assert list(command_lines(text)) == found


@for_each(SHOWN, ids=lambda shown: f"{shown[0].name}: {' '.join(shown[1])}")
def test_every_command_line_in_the_docs_parses(shown: tuple[Path, tuple[str, ...]]) -> None:
    """The command exists and takes these options and values."""
    command, rest = command_of(shown[1])
    assert command.make_context(command.name, rest).command is command


def test_readme_and_commands_show_command_lines() -> None:
    """The test before this one finds what it is to look at."""
    assert {page for page, _ in SHOWN} >= {ROOT / "README.md", COMMANDS}


def test_every_command_has_a_row_with_an_example_of_itself() -> None:
    """docs/commands.md has each command of the tree, and none that is not there."""
    rows = re.findall(r"^\| `([a-z0-9 -]+)` \| .+ \| `harvest-monitor ([^`]+)` \|$", COMMANDS.read_text("utf-8"), re.M)
    assert sorted(name for name, _ in rows) == sorted(leaves(typer.main.get_command(app)))
    for name, example in rows:
        assert f"{example} ".startswith(f"{name} ")


def test_exit_statuses_are_told_in_their_order() -> None:
    """docs/commands.md has each exit status of `check`, the one that outranks first."""
    told = [int(number) for number in re.findall(r"^\| (\d+) \| ", COMMANDS.read_text("utf-8"), re.M)]
    assert sorted(told) == sorted(ExitStatus)
    for higher, lower in pairwise(told):
        errors = [CheckError(None, "", ExitStatus(lower)), CheckError(None, "", ExitStatus(higher))]
        assert exit_status([], errors) == higher
