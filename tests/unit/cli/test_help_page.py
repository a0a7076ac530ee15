"""The help pages, as people read them on a wide and on a narrow terminal."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.cells import cell_len

from monitor import cli
from monitor.cli.app import app
from tests.unit.docs.test_commands import command_lines, command_of

Path_ = tuple[str, ...]


def every_command(command: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Groups as well."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from every_command(child, (*path, name))


EVERY = dict(every_command(typer.main.get_command(app)))


def test_every_command_has_an_example_of_itself_that_works() -> None:
    """The last words of each page are a command line of that very command, which the parser accepts."""
    for path, command in EVERY.items():
        (example,) = re.findall(r"(?:^|\n)Example: (.+)\Z", command.epilog or "")
        (call,) = command_lines(example)
        assert len(example) <= 78, example
        found, rest = command_of(call)
        if path:
            assert " ".join(call).startswith(" ".join(path)), example
        assert found.make_context(found.name, rest).command is found, example


@pytest.mark.parametrize("columns", [40, 80])
def test_every_page_fits_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only an example, which is to be copied, may be longer; and an option with its values on a very narrow one."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for path in EVERY:
        assert cli.run([*path, "--help"]) == 0
        page, _, _ = capsys.readouterr().out.partition("\nExample:")
        wide = [line for line in page.splitlines() if cell_len(line) > columns]
        assert not [line for line in wide if "|" not in line], path
        assert columns == 40 or not wide, path


def test_no_page_shows_a_type_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    """An option's value has a name that says what it is; a switch has none."""
    for path in EVERY:
        assert cli.run([*path, "--help"]) == 0
        page = capsys.readouterr().out
        for leaked in ("<str", "<bool", "<list", "<int", "<path", "<float", " STR", "TEXT", "None", "[default", "{"):
            assert leaked not in page.partition("Example:")[0], (path, leaked)
        assert "--help" in page
        assert "--config FILE" in page


def test_pages_have_colour_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert cli.run(["check", "--help"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("history --limit abc", "--limit: must be a whole number"),
        ("history --limit 0", "--limit: must be at least 1"),
        ("notices show", "NUMBER is missing"),
        ("notices show x", "NUMBER: must be a whole number"),
        ("notices list --status odd", "--status: 'odd' is none of 'pending', 'held', 'sent', 'dropped', 'failed'"),
        ("tokens create", "--name is missing"),
        ("history --tenant", "--tenant needs a value"),
        ("check --nope", "there is no option --nope"),
        ("chek", "there is no command chek. Did you mean 'check'?"),
        ("tenants show a b", "nothing more is taken behind the rest: leave out b"),
        ("sandbox fault add slow --share much", "--share: must be a number"),
        ("sandbox fault add slow seconds", "NAME=VALUE: 'seconds' must be NAME=VALUE, such as seconds=2"),
    ],
)
def test_a_mistake_in_the_call_is_told_in_plain_words(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with which option, and which page helps; status 2, and nothing on stdout."""
    assert cli.run(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0] == f"error: {said}"
    assert not re.search(r"Input should|Value error|Invalid value|argument\(s\)", printed.err)
