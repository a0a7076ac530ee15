"""The address of the database: what it may look like, what of it people may see, and whether it demands TLS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from checks.origin import is_loopback

POOLER_OPTION = "prepare_threshold"
TLS_OPTION = "sslmode"
_POSTGRES_PORT = 5432
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
# None of its parts can hold a character that would end it: SQLAlchemy's own parser takes what follows an unencoded @ or
# / in a password for a part of the host.
_POSTGRES = re.compile(
    r"[a-z+]+://"
    r"(?:[^:@/?#\s\[\]]*(?::[^@/?#\s\[\]]*)?@)?"
    r"(?P<hosts>[^@/?#\s]*)"
    r"(?:/[^:@/?#\s\[\]]*)?"
    r"(?:\?[^@?#\s]*)?"
)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._%-]*))(?::([0-9]{1,5}))?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MODES = {"disable": False, "allow": False, "prefer": False, "require": True, "verify-ca": True, "verify-full": True}
_DEFAULT_MODE = "prefer"  # libpq's own
_SECRET_OPTIONS = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """An empty host is the socket of this machine."""

    host: str
    port: str

    @property
    def is_remote(self) -> bool:
        return bool(self.host) and not self.host.startswith(("/", "@")) and not is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "localhost"
        return f"{host}:{self.port}"


def database_address(text: str) -> URL:
    """The address with the driver we use. Its own text shows options, so people get `place` instead.

    ValueError, which repeats nothing of the address, if it can be read in more than one way.
    """
    if text.partition("://")[0] in ("postgres", "postgresql", "postgresql+psycopg"):
        return _postgres_address(text)
    url = _parsed(text)
    if url.drivername not in _DRIVERS:
        raise ValueError("must begin with sqlite:/// or postgresql://: no other database is supported")
    # A database in memory disappears with its connection, and a file: URI can name one.
    if (url.database or ":memory:").startswith((":memory:", "file:")):
        raise ValueError("must name a file, such as sqlite:///harvest-monitor.sqlite3")
    return url.set(drivername=_DRIVERS[url.drivername])


def place(url: URL) -> str:
    """What people see of it: the file, or `host:port/database`. Nothing else, since anything else may be a secret."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{','.join(map(str, servers(url)))}/{url.database or ''}"


def servers(url: URL) -> list[DatabaseServer]:
    """The servers that a Postgres address names, in the order in which they are tried."""
    given = url.query.get("host") or url.query.get("hostaddr") or url.host or ""
    hosts = given.split(",") if isinstance(given, str) else list(given)
    named = url.query.get("port")
    ports = str(named).split(",") if named else [str(url.port or _POSTGRES_PORT)]
    if len(ports) < len(hosts):
        ports *= len(hosts)
    return [_server(host, port) for host, port in zip(hosts, ports, strict=False)]


def demands_tls(url: URL, environ: Mapping[str, str]) -> bool:
    """Whether a connection that is not encrypted is refused; libpq also reads PGSSLMODE."""
    return _MODES.get(_mode(url) or environ.get("PGSSLMODE", _DEFAULT_MODE), False)


def declines_tls(url: URL) -> bool:
    """Whether the address says in so many words that there is none."""
    return _mode(url) == "disable"


def secrets_in(url: URL) -> list[str]:
    """The values that must not be shown, wherever they turn up."""
    options = (url.query.get(name) for name in _SECRET_OPTIONS)
    return [str(value) for value in (url.password, *options) if value]


def prepare_threshold(url: URL) -> int | None:
    """After how many uses psycopg has a statement prepared; None for never, which poolers of transactions need."""
    value = str(url.query.get(POOLER_OPTION, "none")).lower()
    if value == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise ValueError("must have a whole number, or none, as prepare_threshold")
    return int(value)


def _postgres_address(text: str) -> URL:
    found = _POSTGRES.fullmatch(text)
    if found is None or _BROKEN_ESCAPE.search(text):
        raise ValueError(
            "has a character that makes it ambiguous: percent-encode those of user, password and options (@ as %40, / "
            "as %2F, ? as %3F, # as %23, % as %25, : in a user as %3A)"
        )
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    if not all(hosts):
        raise ValueError(
            "must be postgresql://user:password@host:5432/database: percent-encode the special characters of the "
            "password (/ as %2F, : as %3A), and see that the port is a number"
        )
    if len(hosts) == 1:
        url = _parsed(text)
        url = url.set(host=unquote(url.host)) if url.host else url
    else:
        url = _parsed(text[: found.start("hosts")] + text[found.end("hosts") :])
        named = [(host[1] or unquote(host[2]), host[3] or str(_POSTGRES_PORT)) for host in hosts if host]
        several = {"host": ",".join(host for host, _ in named), "port": ",".join(port for _, port in named)}
        url = url.update_query_dict(several)
    _require_known_options(url)
    return url.set(drivername="postgresql+psycopg")


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("must be sqlite:///file or postgresql://user:password@host/database") from None


def _require_known_options(url: URL) -> None:
    # Only for an address of Postgres: a tenth of a second that a SQLite file does not have to wait.
    from psycopg import pq

    # A whole address can be in dbname.
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} - {"dbname"} | {POOLER_OPTION}
    if not url.query.keys() <= known:
        raise ValueError("has an option after the ? that Postgres does not know: correct it (docs/database.md)")
    if any(not isinstance(value, str) for name, value in url.query.items() if name != "host"):
        raise ValueError("has an option twice after the ?: leave one out")
    if (_mode(url) or _DEFAULT_MODE) not in _MODES:
        raise ValueError(f"must have one of {', '.join(_MODES)} as sslmode")
    prepare_threshold(url)


def _mode(url: URL) -> str | None:
    value = url.query.get(TLS_OPTION)
    return str(value) if value else None


def _server(host: str, port: str) -> DatabaseServer:
    """SQLAlchemy's own way to name several is host=a:1&host=b:2."""
    name, colon, own_port = host.partition(":")
    return DatabaseServer(name, own_port) if colon and own_port.isdecimal() else DatabaseServer(host, port)
