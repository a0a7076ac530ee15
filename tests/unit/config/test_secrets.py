import os
import traceback
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.config.secrets import check_reference, resolve_reference
from monitor.errors import ConfigurationError, UnresolvedReference

KEY = "5a1f0c3e9b7d2468ace013579bdf2468-1"


def test_a_variable_is_resolved() -> None:
    """env:NAME means the variable's value in the given environment."""
    assert resolve_reference("env:ACME_HARVEST_KEY", environ={"ACME_HARVEST_KEY": KEY}).reveal() == KEY


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_is_resolved(tmp_path: Path, ending: str) -> None:
    """file:/path means the file's content without the line break an editor adds, read again each time."""
    path = tmp_path / "key"
    path.write_text(KEY + ending)
    assert resolve_reference(f"file:{path}", environ={}).reveal() == KEY

    path.write_text("rotated" + ending)
    assert resolve_reference(f"file:{path}", environ={}).reveal() == "rotated"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "not a reference"),
        (KEY, "not a reference"),
        (f"Basic {KEY}", "not a reference"),
        (f"key:{KEY}", "not a reference"),
        (f"https://{KEY}@vendor.example", "not a reference"),
        (f"env:{KEY}", "takes the name of an environment variable"),  # the key itself behind the prefix
        ("env:" + KEY[:32], "takes the name of an environment variable"),
        ("env:a1b2c3d4e5f60718293a4b5c6d7e8f90", "takes the name of an environment variable"),
        ("env:", "takes the name of an environment variable"),
        ("env:A B", "takes the name of an environment variable"),
        ("env:ACME\n", "takes the name of an environment variable"),
        (f"file:{KEY}", "takes an absolute path"),
        ("file:", "takes an absolute path"),
        ("file:///run/secrets/acme", "takes an absolute path with one leading slash"),
        ("file:/run/a\0b", "takes an absolute path"),
        ("file:/run/a\nb", "takes an absolute path"),
        (f"sealed:{KEY}", "use env:NAME and file:/absolute/path"),
        (f"command:/bin/print {KEY}", "command: references are for credentials only"),
    ],
)
def test_what_is_not_a_reference_is_refused_and_not_shown(reference: str, message: str) -> None:
    """Text that is not a reference may be the secret itself: the error says what is supported and never repeats it."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        check_reference(reference)
    with pytest.raises(ConfigurationError, match=message):
        resolve_reference(reference, environ={})

    shown = "".join(traceback.format_exception(caught.value))
    assert KEY[:32] not in shown
    assert "a1b2c3" not in shown


@pytest.mark.parametrize("reference", ["env:ACME_HARVEST_KEY", "env:_x9", "file:/run/secrets/acme", "file:/a b/ü"])
def test_a_reference_is_checked_without_being_resolved(reference: str) -> None:
    """Only the form counts: neither variable nor file needs to exist yet."""
    check_reference(reference)


@pytest.mark.parametrize("value", ["", " ", f"{KEY} {KEY}", f"{KEY}\n{KEY}", "schlüssel", "k" * 513])
def test_a_value_that_cannot_be_a_key_is_refused(tmp_path: Path, value: str) -> None:
    """A value that no header can carry is refused; the error names the reference and not the value."""
    path = tmp_path / "key"
    path.write_text(value)
    path.chmod(0o600)

    for reference in ("env:ACME", f"file:{path}"):
        with pytest.raises(UnresolvedReference, match=reference) as caught:
            resolve_reference(reference, environ={"ACME": value})
        assert KEY not in "".join(traceback.format_exception(caught.value))


def test_an_unset_variable_is_named() -> None:
    """A variable that is not set is an error with its name and the next step."""
    with pytest.raises(UnresolvedReference, match=r"env:ACME: .* not set: set it"):
        resolve_reference("env:ACME", environ={})


def test_files_without_a_secret_are_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe and a file that is too long are refused by name; a pipe blocks nothing."""
    (tmp_path / "long").write_text("k" * 17000)
    os.mkfifo(tmp_path / "pipe")

    for name, message in [
        ("missing", "cannot be read"),
        ("", "not a regular file"),
        ("pipe", "not a regular file"),
        ("long", "longer than 16384 bytes"),
    ]:
        with pytest.raises(UnresolvedReference, match=message) as caught:
            resolve_reference(f"file:{tmp_path}/{name}", environ={})
        assert str(caught.value).startswith(f"file:{tmp_path}/{name}: ")


def test_a_file_readable_by_all_is_logged_once(tmp_path: Path) -> None:
    """A key that every user can read is used, and the log says so once, with the path and how to fix it."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)

    with capture_logs() as events:
        for _ in range(3):
            assert resolve_reference(f"file:{path}", environ={}).reveal() == KEY

    assert [event["event"] for event in events] == ["found_secret_file_readable_by_all"]
    assert events[0]["path"] == str(path)
    assert KEY not in str(events)


def test_a_file_readable_by_its_group_is_fine(tmp_path: Path) -> None:
    """Owner and group may read a key; nothing is logged."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o640)

    with capture_logs() as events:
        resolve_reference(f"file:{path}", environ={})

    assert events == []
