"""Debian's PgBouncer in front of a Postgres of the tests: few server connections, each lent for one transaction."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL

from tests.postgres import free_port, prepared_user
from tests.real_part import PartUnavailable

START_SECONDS = 60


class PgBouncerUnavailable(PartUnavailable):
    """No PgBouncer can be started on this machine; the message says why."""


@contextmanager
def running_pgbouncer(server: URL, *, server_connections: int) -> Iterator[URL]:
    """The address of the server's database through the pooler; everything but the pool is as PgBouncer has it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PgBouncerUnavailable("PgBouncer is not installed (apt-get install pgbouncer)")
    with tempfile.TemporaryDirectory(prefix="harvest-monitor-pgbouncer-") as folder:
        home, port = Path(folder), free_port()
        user = prepared_user(home)
        (home / "users").write_text(f'"{server.username}" ""\n')
        (home / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {home / 'users'}\n"
            f"pool_mode = transaction\ndefault_pool_size = {server_connections}\n"
        )
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, str(home / "pgbouncer.ini")], user=user, cwd="/", stdout=log, stderr=log
            )
        pooled = server.set(port=port)
        try:
            _wait_for(pooled, process, home / "log")
            yield pooled
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _wait_for(pooled: URL, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(
                host=pooled.host, port=pooled.port, user=pooled.username, dbname=pooled.database, prepare_threshold=None
            ).close()
        except psycopg.OperationalError as problem:
            if process.poll() is not None or time.monotonic() > end:
                raise PgBouncerUnavailable(f"{problem}: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
