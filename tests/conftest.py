"""Fixtures for all tests. A test that takes `database` runs on a new SQLite file and on a new Postgres database."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, make_url

from monitor.store.database import Database
from tests.kept_logs import kept_logs
from tests.postfix import Postfix, running_postfix
from tests.postgres import administer, running_postgres
from tests.prometheus import Prometheus, running_prometheus
from tests.promtool import Promtool
from tests.real_part import real_part
from tests.systemd import Machine, running_machine

# The machine may be busy: no test of properties measures time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """Two workers more than cores for the whole suite, as its long tests mostly wait; none for single tests."""
    cores = yield
    if config.option.keyword or any("::" in argument for argument in config.args):
        return 0
    return cores + 2 if config.args_source is config.ArgsSource.TESTPATHS else cores


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    with kept_logs():
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A server for the whole run. If none can be started, its tests are skipped on a desk and fail in CI."""
    with real_part(), running_postgres() as server:
        yield make_url(server.address)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with a real systemd. If none can be started, its tests are skipped on a desk and fail in CI."""
    with real_part(), running_machine(tmp_path_factory.mktemp("machine")) as started:
        yield started


@pytest.fixture(scope="session")
def postfix_server() -> Iterator[Postfix]:
    """A mail server for the whole run. Without it, its tests are skipped on a desk and fail in CI."""
    with real_part(), running_postfix() as server:
        yield server


@pytest.fixture
def postfix(postfix_server: Postfix) -> Postfix:
    """That server, with empty mailboxes."""
    postfix_server.empty_mailboxes()
    return postfix_server


@pytest.fixture(scope="session")
def promtool() -> Iterator[Promtool]:
    """Without it, its tests are skipped on a desk and fail in CI."""
    with real_part():
        yield Promtool()


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """With Alertmanager; a minute of the rules takes half a second. Without them as without promtool."""
    with real_part(), running_prometheus({}, minute_seconds=0.5) as found:
        yield found


@pytest.fixture
def sqlite_url(tmp_path: Path) -> URL:
    """A SQLite file that does not exist yet."""
    return _sqlite(tmp_path / "store.sqlite3")


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[URL]:
    """An empty Postgres database."""
    with _new_database(postgres_server, "template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest) -> URL:
    """A database without tables, on either."""
    url: URL = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """A new database with tables, on either."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("_migrated_file"), tmp_path / "migrated.sqlite3")
        yield _sqlite(tmp_path / "migrated.sqlite3")
        return
    template = request.getfixturevalue("_migrated_database")
    with _new_database(request.getfixturevalue("postgres_server"), template) as url:
        yield url


@pytest.fixture
async def sqlite(_migrated_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """A SQLite database with its tables, for the tests that are not about databases."""
    path = tmp_path / "harvest-monitor.sqlite3"
    shutil.copy(_migrated_file, path)
    database = Database(_sqlite(path))
    yield database
    await database.close()


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def postgres(postgres_server: URL, _migrated_database: str) -> AsyncIterator[Database]:
    """A Postgres database with its tables, for what SQLite does not mind."""
    with _new_database(postgres_server, _migrated_database) as url:
        database = Database(url)
        yield database
        await database.close()


@pytest.fixture
async def workers(database: Database, database_url: URL) -> AsyncIterator[list[Database]]:
    """The same database as four processes see it, each with its own connections and locks."""
    others = [Database(database_url) for _ in range(3)]
    yield [database, *others]
    for other in others:
        await other.close()


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "store.sqlite3"
    asyncio.run(_migrate(_sqlite(path)))
    return path


@pytest.fixture(scope="session")
def _migrated_database(postgres_server: URL) -> Iterator[str]:
    with _new_database(postgres_server, "template1") as url:
        asyncio.run(_migrate(url))
        yield str(url.database)


async def _migrate(url: URL) -> None:
    database = Database(url)
    await database.migrate()
    await database.close()


def _sqlite(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))


@contextmanager
def _new_database(server: URL, template: str) -> Iterator[URL]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield server.set(database=name)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")
