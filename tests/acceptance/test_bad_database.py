"""Postgres as it really is: late, full, behind a pooler, failed over to a standby, with TLS."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from tests.command import ServeProcess, run_here, until
from tests.pgbouncer import running_pgbouncer
from tests.postgres import (
    Postgres,
    administer,
    debians_binaries,
    running_postgres,
    running_standby,
)
from tests.real_part import real_part
from tests.service import ServiceHarness, checked

TENANTS = 6
WRITING = (("check", "--record"), ("tenants", "sync"), ("notices", "release", "1", "--reason", "sent"))


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with real_part(), running_postgres(debians_binaries()) as started:
        yield started


@pytest.fixture
def on_postgres(harness: ServiceHarness) -> dict[str, Any]:
    return {"installation_key": harness.folder / "installation.key", "interval": "1s"}


def upgraded(harness: ServiceHarness, settings: dict[str, Any]) -> None:
    assert run_here(harness.folder, "db", "upgrade", **{**harness.settings, **settings}).returncode == 0


def fails_in_one_sentence(harness: ServiceHarness, words: str, *arguments: str, **settings: Any) -> None:
    done = run_here(harness.folder, *arguments, **{**harness.settings, **settings})
    said = done.stdout + done.stderr
    assert done.returncode == 2, (arguments, said)
    assert re.search(rf"the database 127\.0\.0\.1:\d+/\w+ cannot be used \(.*{words}.*\): ", said), (arguments, said)
    assert not re.search("Traceback|report it", said), (arguments, said)


def broken_lines(service: ServeProcess) -> list[dict[str, Any]]:
    return [line for line in service.log if "exception" in line or line["event"] == "check_broke_off"]


def test_a_service_runs_behind_a_pooler_of_transactions(
    harness: ServiceHarness, server: Postgres, on_postgres: dict[str, Any]
) -> None:
    """Migrations, service and commands share three server connections; every tenant is checked again and again."""
    for number in range(TENANTS):
        harness.add_tenant(f"t{number}")
    administer(server.url, "CREATE DATABASE pooled")
    with real_part(), running_pgbouncer(server.url.set(database="pooled"), server_connections=3) as pooled:
        settings = {**on_postgres, "database_url": pooled.render_as_string()}
        upgraded(harness, settings)
        with harness.serve(**settings) as service:
            for number in range(TENANTS):
                checked(service, f"t{number}", more_than=1)
            done = run_here(harness.folder, "check", "t1", "--record", **{**harness.settings, **settings})
            assert done.returncode == 0, done.stderr
            assert [service.get(path)[0] for path in ("/readyz", "/metrics")] == [200, 200]
            assert [line for line in service.log if line["level"] not in ("info", "warning")] == []
            assert service.stop() == 0


def test_a_service_waits_for_a_database_that_is_full_or_late(
    harness: ServiceHarness, server: Postgres, on_postgres: dict[str, Any]
) -> None:
    """It says so in one line, and comes up by itself; a command says it and ends."""
    settings = {**on_postgres, "database_url": server.address}
    harness.add_tenant("acme")
    upgraded(harness, settings)
    server.stop()
    server.start("-c max_connections=5 -c superuser_reserved_connections=0 -c max_wal_senders=0")
    with ExitStack() as others:
        for _ in range(5):
            others.enter_context(psycopg.connect(server.plain_address))
        with harness.serve(**settings) as service:
            until(lambda: service.logged("waiting_for_database"))
            fails_in_one_sentence(harness, "too many clients", "tenants", "list", **settings)
            server.stop()
            fails_in_one_sentence(harness, "Connection refused", "tenants", "list", **settings)
            assert service.process.poll() is None
            server.start()
            checked(service, "acme")
            (line,) = service.logged("waiting_for_database")
            assert (
                "too many clients already): it has no free connection: lower HARVEST_MONITOR_DATABASE"
                in line["problem"]
            )
            assert 590 <= line["gives_up_in_seconds"] <= 600
            assert len(service.logged("database_is_there")) == 1
            assert service.stop() == 0


def test_a_service_does_not_wait_for_what_no_time_cures(
    harness: ServiceHarness, server: Postgres, on_postgres: dict[str, Any]
) -> None:
    """A database that does not exist, or a wait that is set to nothing."""
    harness.add_tenant("acme")
    nowhere = server.url.set(database="nowhere").render_as_string()
    away = server.url.set(port=9).render_as_string()
    for more in ({"database_url": nowhere}, {"database_url": away, "database_start_timeout": "0"}):
        fails_in_one_sentence(harness, "failed", "serve", **on_postgres, **more)


def test_a_failover_pauses_checks_until_a_primary_is_reached(
    harness: ServiceHarness, server: Postgres, on_postgres: dict[str, Any]
) -> None:
    """The old primary only reads, then the standby is promoted: no traceback, and checks go on over new connections."""
    harness.add_tenant("acme")
    administer(server.url, "CREATE DATABASE replicated")
    first = server.url.set(database="replicated")
    upgraded(harness, {**on_postgres, "database_url": first.render_as_string()})
    with running_standby(server) as standby:
        second = first.set(port=standby.port)
        both = f"postgresql://postgres@127.0.0.1:{server.port},127.0.0.1:{standby.port}/replicated"
        leading = {"database_url": f"{both}?target_session_attrs=read-write", "database_pool_size": 2}
        with harness.serve(**on_postgres, **leading) as service:
            checked(service, "acme")
            server.only_reads(True)
            until(lambda: service.logged("checks_paused"))
            until(lambda: service.get("/readyz")[0] == 503)
            assert "harvest_monitor_database_trouble 1.0" in service.get("/metrics")[1]
            assert service.get("/healthz")[0] == 200
            harness.add_tenant("globex")
            for address in (first, second):
                settings = {**on_postgres, "database_url": address.render_as_string()}
                for arguments in WRITING:
                    fails_in_one_sentence(harness, "read-only transaction, SQLSTATE 25006", *arguments, **settings)
            done = run_here(harness.folder, "doctor", **{**harness.settings, **settings})
            assert (done.returncode, "it takes no writes" in done.stdout) == (1, True), done.stdout
            seen = len(service.logged("checked"))
            standby.promote()
            until(lambda: service.logged("checks_go_on"), seconds=30)
            until(lambda: service.get("/readyz")[0] == 200, seconds=30)
            checked(service, "acme", more_than=seen)
            assert broken_lines(service) == []
            assert service.stop() == 0
    server.only_reads(False)
