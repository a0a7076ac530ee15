"""Addresses of databases: what is refused, what people see of them, and whether they demand TLS."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from monitor.database_address import database_address, demands_tls, place, prepare_threshold, secrets_in, servers

SECRET = "c4na4y"


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("sqlite:///a.sqlite3", "sqlite+aiosqlite:///a.sqlite3"),
        ("sqlite+aiosqlite:////a.sqlite3", "sqlite+aiosqlite:////a.sqlite3"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql:///d?host=%2Frun", "postgresql+psycopg:///d?host=%2Frun"),
        ("postgresql+psycopg://h:5433/d", "postgresql+psycopg://h:5433/d"),
        ("postgresql://[::1]:5433/d", "postgresql+psycopg://[::1]:5433/d"),
        ("postgresql://a,b:5433/d", "postgresql+psycopg:///d?host=a%2Cb&port=5432%2C5433"),
    ],
)
def test_databases(written: str, used: str) -> None:
    """Each database is used with the one driver that is tested."""
    assert database_address(written).render_as_string() == used


@pytest.mark.parametrize(
    "written",
    [
        *("", "a.sqlite3", "sqlite:///:memory:", "sqlite://", "sqlite:///file:a?uri=true", "postgresql+asyncpg://h/d"),
        *("postgresql://h:port/d", "postgresql://h/d?sslmode=on", "postgresql://h/d?prepare_threshold=often"),
    ],
)
def test_databases_refused(written: str) -> None:
    """No other driver, no database that disappears with its connection, no value that the server would not take."""
    with pytest.raises(ValueError, match="must"):
        database_address(written)


@pytest.mark.parametrize("options", ["dbname=postgresql:%2F%2Fu:c4na4y%40h", "pasword=c4na4y", "sslmode=a&sslmode=b"])
def test_options_that_postgres_does_not_know_are_refused(options: str) -> None:
    """At the start, not at the first connection; the message repeats none of them."""
    with pytest.raises(ValueError, match="option") as caught:
        database_address(f"postgresql://h/d?{options}")
    assert SECRET not in str(caught.value)


@given(before=st.text("ab1:.-", max_size=3), after=st.text("ab1:.-", max_size=3), special=st.sampled_from("@/?#[] "))
def test_a_password_that_is_not_encoded_is_refused(before: str, after: str, special: str) -> None:
    """Wherever the character stands; the message says what to do, and shows nothing of the password."""
    password = f"{SECRET}{before}{special}{after}{SECRET}"
    with pytest.raises(ValueError, match="percent-encode") as caught:
        database_address(f"postgresql://monitor:{password}@db.internal:5432/store")
    assert SECRET not in str(caught.value)
    assert "db.internal" not in str(caught.value)


@given(password=st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1))
def test_every_password_can_be_written_with_percent_encoding(password: str) -> None:
    """It arrives as it is, and the place of the database holds nothing of it."""
    url = database_address(f"postgresql://monitor:{quote(password, safe='')}@db.internal/store")
    assert (url.username, url.password, url.host, url.database) == ("monitor", password, "db.internal", "store")
    assert place(url) == "db.internal:5432/store"
    assert secrets_in(url) == [password]


PLACES = [
    ("postgresql://monitor:c4na4y@db.internal:6432/store?sslpassword=c4na4y&password=c4na4y", "db.internal:6432/store"),
    ("postgresql://c4na4y@[2001:db8::1]/store", "[2001:db8::1]:5432/store"),
    ("postgresql://monitor:c4na4y@a:1,b/store", "a:1,b:5432/store"),
    ("postgresql:///store?host=a:1&host=b:2&passfile=c4na4y", "a:1,b:2/store"),
    ("postgresql://%2Frun%2Fpostgresql/store", "/run/postgresql:5432/store"),
    ("postgresql:///store", "localhost:5432/store"),
    ("sqlite:////var/lib/monitor.sqlite3", "/var/lib/monitor.sqlite3"),
]


@pytest.mark.parametrize(("written", "shown"), PLACES)
def test_people_see_host_port_and_database(written: str, shown: str) -> None:
    """Neither the user nor an option, since any of them may be a secret."""
    assert place(database_address(written)) == shown


def test_an_address_demands_tls_or_does_not() -> None:
    """Only what refuses a connection in the clear counts; libpq's own default does not, and PGSSLMODE may."""
    demanding = {
        mode: demands_tls(_with(mode), {}) for mode in ("disable", "allow", "prefer", "require", "verify-full")
    }
    assert demanding == {"disable": False, "allow": False, "prefer": False, "require": True, "verify-full": True}
    plain = database_address("postgresql://h/d")
    assert [demands_tls(plain, {}), demands_tls(plain, {"PGSSLMODE": "verify-ca"})] == [False, True]


def test_sockets_and_loopback_are_on_this_machine() -> None:
    """Everything else is remote, and of several servers each counts."""
    written = ("h", "127.0.0.1", "localhost", "[::1]", "%2Frun", "", "localhost,h")
    remote = {
        host: any(server.is_remote for server in servers(database_address(f"postgresql://{host}/d")))
        for host in written
    }
    assert [host for host in written if remote[host]] == ["h", "localhost,h"]


def test_prepared_statements_are_for_those_who_ask_for_them() -> None:
    """A pooler of transactions gives a session's statements to others."""
    asked = {text: prepare_threshold(database_address(f"postgresql://h/d{text}")) for text in _THRESHOLDS}
    assert asked == _THRESHOLDS


_THRESHOLDS = {"": None, "?prepare_threshold=5": 5, "?prepare_threshold=0": 0, "?prepare_threshold=None": None}


def _with(mode: str) -> URL:
    return database_address(f"postgresql://h/d?sslmode={mode}")
