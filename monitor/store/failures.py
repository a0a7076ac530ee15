"""Which errors are the database's, and what to do about each: one table of SQLSTATE codes, one of SQLite's names.

Our statements are fixed and tested, so what a statement can be to blame for stands in a few classes, which the standard
names: they are ours, and nobody else's tenant is affected. All the rest, codes that nobody here has met included, says
something about the server, the file or the connection. Taking it for a fault of ours would send checks that cannot be
recorded; taking it for the database's pauses them, and says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from monitor.database_address import POOLER_OPTION, place, secrets_in
from monitor.errors import StoreAway, StoreError


@dataclass(frozen=True, slots=True)
class DatabaseFailure:
    """`stale`: the open connections lead to a server that is no longer of use, and a new one may reach another.

    `passes`: it may end without anybody changing a setting, so a start waits for it.
    """

    next_step: str
    stale: bool = False
    passes: bool = True


_ROLE = "see whether the user may use the database and its tables (GRANT), and whether the password is right"
_NAMES = "create the user or the database, or correct the name in HARVEST_MONITOR_DATABASE_URL"
_SERVER = "see the server's log"
_TABLES = "its tables are not those of this release: run `harvest-monitor db check`"
_LEADS_TO_PRIMARY = "see where the primary is, and that HARVEST_MONITOR_DATABASE_URL leads there"
ONLY_READS = DatabaseFailure(f"it is a standby, or was set to read only: {_LEADS_TO_PRIMARY}", stale=True)
_UNKNOWN = DatabaseFailure(_SERVER, stale=True)
_NO_ROOM = DatabaseFailure(
    "it has no free connection: lower HARVEST_MONITOR_DATABASE_POOL_SIZE, or raise the server's max_connections"
)
_STOPPING = DatabaseFailure("see whether the server is being stopped or started", stale=True)
_SHORT = DatabaseFailure("free memory or disk space on its server")

# The longest entry that a code begins with applies; None is ours.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_SQLSTATE: Mapping[str, DatabaseFailure | None] = {
    "08": DatabaseFailure("see whether the server runs and can be reached", stale=True),
    # Also "cannot set transaction read-write mode during recovery", and statements that another make of server lacks.
    "0A": DatabaseFailure(f"it is a standby, or no Postgres: {_LEADS_TO_PRIMARY}", stale=True),
    "21": None,
    "22": None,
    "23": None,
    "25006": ONLY_READS,
    "25P02": None,  # a statement after one that failed
    "26": DatabaseFailure(f"leave {POOLER_OPTION} out of HARVEST_MONITOR_DATABASE_URL", stale=True),
    "28": DatabaseFailure(_ROLE, stale=True, passes=False),
    "3D": DatabaseFailure(_NAMES, passes=False),
    "3F": DatabaseFailure(_TABLES, passes=False),
    "40": DatabaseFailure("another transaction was in the way: it is tried again by itself"),
    "42": None,
    "42501": DatabaseFailure(_ROLE, passes=False),
    "42703": DatabaseFailure(_TABLES, passes=False),
    "42P01": DatabaseFailure(_TABLES, passes=False),
    "42P05": DatabaseFailure(f"leave {POOLER_OPTION} out of HARVEST_MONITOR_DATABASE_URL", stale=True),
    "44": None,
    "53": _SHORT,
    "53300": _NO_ROOM,
    "54": None,  # more than a statement or an index may hold
    "55P03": None,  # the lock_timeout that we set ourselves
    "57": _STOPPING,
    "57014": DatabaseFailure("somebody, or a statement_timeout, cancelled the statement: see the server's log"),
    "58": DatabaseFailure("check the server's disks and its log", stale=True),
    "XX001": DatabaseFailure("data is damaged: see the server's log, and restore a backup"),
    "XX002": DatabaseFailure("an index is damaged: see the server's log, and REINDEX"),
}
# By sqlite3's name of the code, likewise. https://www.sqlite.org/rescode.html
_BY_SQLITE_NAME: Mapping[str, DatabaseFailure | None] = {
    "SQLITE_BUSY": DatabaseFailure("find out which other program keeps it locked"),
    "SQLITE_CONSTRAINT": None,
    "SQLITE_CORRUPT": DatabaseFailure("it is damaged: stop the service and restore a backup", passes=False),
    "SQLITE_ERROR": None,
    "SQLITE_FULL": DatabaseFailure("free space on its disk", passes=False),
    "SQLITE_IOERR": DatabaseFailure("check the system log for disk errors, and that there is free space", passes=False),
    "SQLITE_LOCKED": DatabaseFailure("find out which other program keeps it locked"),
    "SQLITE_MISMATCH": None,
    "SQLITE_MISUSE": None,
    "SQLITE_NOTADB": DatabaseFailure(
        "it is damaged or not a database: stop the service and restore a backup", passes=False
    ),
    "SQLITE_RANGE": None,
    "SQLITE_READONLY": DatabaseFailure(
        "allow the service's user to write the file and its folder, and see that the disk is writable", passes=False
    ),
    "SQLITE_SCHEMA": None,
    "SQLITE_TOOBIG": None,
}
_SQLITE_OTHER = DatabaseFailure(
    "check that HARVEST_MONITOR_DATABASE_URL names a SQLite file that can be written", passes=False
)
# libpq gives no code for a connection that was not made, only the server's text, or its own.
_NOT_CONNECTED = DatabaseFailure(
    "check that HARVEST_MONITOR_DATABASE_URL names a Postgres that can be reached", stale=True
)
_ALL_IN_USE = DatabaseFailure(
    "see what makes it slow, or raise HARVEST_MONITOR_DATABASE_POOL_SIZE, for which the server needs room"
)


def _refused(next_step: str) -> DatabaseFailure:
    return DatabaseFailure(next_step, stale=True, passes=False)


_BY_WORDS: Mapping[str, DatabaseFailure] = {
    "password": _refused(_ROLE),
    "authentication failed": _refused(_ROLE),
    "no pg_hba.conf entry": _refused(
        "let this machine, user and database in (pg_hba.conf), with TLS if it is asked for"
    ),
    "not permitted to log in": _refused(_ROLE),
    "no such user": _refused(_NAMES),
    "no such database": _refused(_NAMES),
    "certificate": _refused("see sslmode and sslrootcert in HARVEST_MONITOR_DATABASE_URL (docs/database.md)"),
    '" does not exist': _refused(_NAMES),
    "does not support SSL": _refused("switch TLS on at the server; sslmode=disable does without it"),
    "unsupported startup parameter": _refused("leave the parameter out of HARVEST_MONITOR_DATABASE_URL"),
    "session is read-only": ONLY_READS,
    "too many": _NO_ROOM,
    "remaining connection slots": _NO_ROOM,
    "no more connections": _NO_ROOM,
    "starting up": _STOPPING,
    "shutting down": _STOPPING,
    "resolve host": DatabaseFailure("see whether the host's name is right, and known to this machine yet", stale=True),
}
_ALWAYS_OURS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


def failure_of(error: DBAPIError) -> DatabaseFailure | None:
    """What is wrong with the database; None if the statement is at fault, and so we are."""
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return _longest(_BY_SQLITE_NAME, str(name), _SQLITE_OTHER)
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _longest(_BY_SQLSTATE, str(state), _UNKNOWN)
    # No code: Python's module refused what we passed it, or there is no connection.
    if isinstance(error, _ALWAYS_OURS) or type(error.orig).__module__ == "sqlite3":
        return None
    return _connecting(str(error.orig))


def unusable(url: URL, error: Exception) -> StoreError:
    """The error to raise for any error of SQLAlchemy's or the system's; StoreAway if it may pass by itself."""
    if isinstance(error, PoolTimeout):
        return store_error(url, "all its connections have been in use for half a minute", _ALL_IN_USE)
    failure = failure_of(error) if isinstance(error, DBAPIError) else None
    reason = said_by(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else str(error)
    fallback = _SQLITE_OTHER if url.get_backend_name() == "sqlite" else _NOT_CONNECTED
    return store_error(url, reason, failure or replace(fallback, passes=False))


def store_error(url: URL, reason: str, failure: DatabaseFailure) -> StoreError:
    """Shows of the address only its place; a server's text may repeat what it was sent."""
    for secret in secrets_in(url):
        reason = reason.replace(secret, "***")
    if url.username:
        reason = reason.replace(f'"{url.username}"', '"***"')
    text = f"the database {place(url)} cannot be used ({' '.join(reason.split())}): {failure.next_step}"
    return StoreAway(text) if failure.passes else StoreError(text)


def said_by(error: BaseException) -> str:
    """What it said, in one sentence: details and hints may hold values of rows, and several tries say it twice."""
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    if said:
        return f"{said}, SQLSTATE {getattr(error, 'sqlstate', None)}"
    lines = str(error).partition("\nMultiple connection attempts failed")[0].splitlines()
    return " ".join(line for line in lines if not line.startswith("\t"))


def _longest(table: Mapping[str, DatabaseFailure | None], code: str, other: DatabaseFailure) -> DatabaseFailure | None:
    found = [known for known in table if code.startswith(known)]
    return table[max(found, key=len)] if found else other


def _connecting(text: str) -> DatabaseFailure:
    """What passes by itself is not told from what nobody has met: a start waits for both, and says what it was told."""
    return next((failure for words, failure in _BY_WORDS.items() if words in text), _NOT_CONNECTED)
