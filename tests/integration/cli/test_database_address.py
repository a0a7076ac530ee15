"""What commands show of the database's address: host, port and name."""

from pathlib import Path

import pytest

from tests.command import run_here

SECRET = "c4na4y"
REMOTE = f"postgresql://{SECRET}user:{SECRET}@db.invalid:6432/store?sslpassword={SECRET}&passfile=/{SECRET}"
COMMANDS = (
    *("serve", "doctor", "status", "tenants list", "tenants sync", "check --record", "history", "notices list"),
    *("db upgrade", "db check", "db prune", "db backup copy", "db restore copy", "tokens list", "writes status"),
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "tenants.yaml").write_text(
        "tenants: [{id: acme, name: Acme, credential: {kind: harvest-key, label: Key, key: 'env:ACME'}}]\n"
    )
    return {"installation_key": tmp_path / "key", "database_start_timeout": 0, "notices": "off"}


def test_no_command_shows_more_than_where_the_database_is(tmp_path: Path, settings: dict[str, object]) -> None:
    """Users and options may be secrets, too, not only the password."""
    for command in COMMANDS:
        done = run_here(tmp_path, *command.split(), **settings, database_url=REMOTE)
        said = " ".join((done.stdout + done.stderr).split())
        assert "db.invalid:6432/store" in said, (command, said)
        assert SECRET not in said, (command, said)
        assert done.returncode in (1, 2, 3), (command, said)
        assert "report it" not in said, (command, said)


@pytest.mark.parametrize("special", "@/#?")
def test_a_password_that_is_not_encoded_is_not_shown_either(
    tmp_path: Path, settings: dict[str, object], special: str
) -> None:
    """It is refused before it is taken for a part of the host."""
    url = f"postgresql://monitor:{SECRET}{special}{SECRET}@db.invalid/store"
    for command in ("serve", "doctor", "tenants list", "db backup copy"):
        done = run_here(tmp_path, *command.split(), **settings, database_url=url)
        said = " ".join((done.stdout + done.stderr).split())
        assert "HARVEST_MONITOR_DATABASE_URL: has a character that makes it ambiguous: percent-encode" in said, command
        assert SECRET not in said, (command, said)
        assert done.returncode == 2, (command, said)


def test_a_remote_database_without_tls_is_told_of(tmp_path: Path, settings: dict[str, object]) -> None:
    """At the start and by `doctor`; not where the address demands TLS."""
    for option, told in (("", True), ("?sslmode=disable", True), ("?sslmode=verify-full", False)):
        url = f"postgresql://db.invalid/store{option}"
        for command in ("serve", "doctor"):
            done = run_here(tmp_path, command, **settings, database_url=url)
            said = " ".join((done.stdout + done.stderr).split())
            assert ("does not demand TLS" in said) == told, (command, option, said)
