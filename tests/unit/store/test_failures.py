"""Which errors are the database's, by SQLSTATE and by SQLite's name, and what of them is told."""

import sqlite3
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from monitor.errors import StoreAway, StoreError
from monitor.store.failures import failure_of, unusable

URL = make_url("postgresql+psycopg://monitor:c4na4y@db.internal/store?sslpassword=s3cond")
# The classes of what a statement is to blame for, and what we set or handle ourselves.
OURS = ("21", "22", "23", "42", "44", "54", "25P02", "55P03")
THE_SERVERS = ("42501", "42703", "42P01", "42P05")


def wrapped(orig: Exception, base: type[Exception] = psycopg.Error) -> DBAPIError:
    error = DBAPIError.instance("SELECT 1", None, orig, base)
    assert isinstance(error, DBAPIError)
    return error


def of_state(state: str) -> DBAPIError:
    class Coded(psycopg.DatabaseError):
        sqlstate = state

    return wrapped(Coded("it failed"))


@given(state=st.from_regex(r"[0-9A-Z]{5}", fullmatch=True))
def test_every_code_is_the_databases_unless_a_statement_is_to_blame(state: str) -> None:
    """Unknown codes, too; and what is unknown gets new connections and is waited for."""
    failure = failure_of(of_state(state))
    ours = state.startswith(OURS) and state not in THE_SERVERS
    assert (failure is None) == ours
    if failure is not None and state[:2] not in _KNOWN_CLASSES:
        assert failure.stale
        assert failure.passes


_KNOWN_CLASSES = {"08", "0A", "21", "22", "23", "25", "26", "28", "3D", "3F"}
_KNOWN_CLASSES |= {"40", "42", "44", "53", "54", "55", "57", "58", "XX"}


def test_after_a_failover_the_connections_are_replaced() -> None:
    """What a standby, a server that stops, and a pooler that lost a statement say."""
    for state in ("25006", "0A000", "57P01", "57P03", "08006", "58030", "XX000", "26000", "42P05"):
        failure = failure_of(of_state(state))
        assert failure is not None, state
        assert failure.stale, state
    for state in ("53300", "40001", "40P01", "57014"):
        failure = failure_of(of_state(state))
        assert failure is not None, state
        assert not failure.stale, state


SQLITE_OURS = {"ABORT": False, "ERROR": True, "CONSTRAINT": True, "MISMATCH": True, "MISUSE": True, "RANGE": True}
SQLITE_OURS |= {"SCHEMA": True, "TOOBIG": True}


def test_every_name_of_sqlite_is_the_databases_unless_a_statement_is_to_blame() -> None:
    """Of all result codes, also the extended ones; a name that no release has yet is the database's."""
    names = [name for name in dir(sqlite3) if name.startswith("SQLITE_") and not name.startswith("SQLITE_LIMIT")]
    for name in (*names, "SQLITE_NOBODY_KNOWS"):
        orig = sqlite3.OperationalError("it failed")
        orig.sqlite_errorname = name
        expected = SQLITE_OURS.get(name.split("_")[1], False)
        assert (failure_of(wrapped(orig, sqlite3.Error)) is None) == expected, name


def test_what_pythons_module_refuses_is_ours() -> None:
    """It carries no code, as nothing reached the file or the server."""
    for orig, base in (
        (sqlite3.ProgrammingError("Error binding parameter 1"), sqlite3.Error),
        (sqlite3.OperationalError("Could not decode to UTF-8 column"), sqlite3.Error),
        (psycopg.ProgrammingError("cannot adapt type"), psycopg.Error),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), psycopg.Error),
    ):
        assert failure_of(wrapped(orig, base)) is None, orig


NOT_CONNECTED: list[tuple[str, bool]] = [
    ("connection failed: Connection refused\n\tIs the server running on that host?", True),
    ("connection timeout expired", True),
    ("failed to resolve host 'db.internal': [Errno -2] Name or service not known", True),
    ("connection failed: FATAL:  the database system is starting up", True),
    ("connection failed: FATAL:  sorry, too many clients already", True),
    ('connection failed: FATAL:  too many connections for role "monitor"', True),
    ("connection failed: FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", True),
    ("connection failed: SSL SYSCALL error: EOF detected", True),
    ("connection failed: session is read-only", True),
    ("the connection is lost", True),
    ('connection failed: FATAL:  password authentication failed for user "monitor"', False),
    ("connection failed: fe_sendauth: no password supplied", False),
    ('connection failed: FATAL:  database "store" does not exist', False),
    ('connection failed: FATAL:  role "monitor" does not exist', False),
    ('connection failed: FATAL:  no pg_hba.conf entry for host "10.1.2.3", no encryption', False),
    ("connection failed: SSL error: certificate verify failed", False),
    ("connection failed: server does not support SSL, but SSL was required", False),
    ("connection failed: FATAL:  unsupported startup parameter: options", False),
]


def test_a_start_waits_for_what_passes_by_itself() -> None:
    """libpq gives no code without a connection, only a text: what is plainly a matter of settings is not waited for."""
    for text, passes in NOT_CONNECTED:
        error = unusable(URL, wrapped(psycopg.OperationalError(text)))
        assert isinstance(error, StoreAway) == passes, text


def test_the_sentence_has_the_place_the_reason_and_the_next_step() -> None:
    """One line, and no other part of the address, even where the server repeats it."""
    said = 'FATAL: no entry for "monitor", "c4na4y" and s3cond\n\tA hint\nMultiple connection attempts failed. All: -'
    text = str(unusable(URL, wrapped(psycopg.OperationalError(said))))
    assert text == (
        'the database db.internal:5432/store cannot be used (FATAL: no entry for "***", "***" and ***): check that '
        "HARVEST_MONITOR_DATABASE_URL names a Postgres that can be reached"
    )


@pytest.mark.parametrize("error", [OSError("no route"), wrapped(psycopg.DataError("strange"))])
def test_what_is_not_in_the_table_is_told_as_well(error: Any) -> None:
    """While tables are read or migrated, anything that goes wrong is a matter of this database."""
    told = unusable(URL, error)
    assert type(told) is StoreError
    assert "cannot be used" in str(told)
