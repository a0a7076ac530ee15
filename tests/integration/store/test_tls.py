"""TLS to a real Postgres that takes nothing in the clear, with an authority of our own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from monitor.database_address import database_address
from monitor.errors import StoreAway, StoreError
from monitor.store.database import Database
from tests.certificates import Authority
from tests.postgres import debians_binaries, running_postgres
from tests.real_part import real_part

PASSWORD = "c4na4y"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """Of the server, whose certificate is for `localhost`."""
    authority = Authority.named("Database CA")
    authority.write(folder / "ca.pem")
    Authority.named("Another CA").write(folder / "other.pem")
    with real_part(), running_postgres(debians_binaries()) as server:
        server.demand_tls(authority.issue(folder / "server.pem"), PASSWORD)
        yield server.port


def address(port: int, options: str, host: str = "localhost", password: str = PASSWORD) -> Database:
    return Database(database_address(f"postgresql://postgres:{password}@{host}:{port}/postgres?{options}"))


@pytest.mark.parametrize("options", ["sslmode=verify-full&sslrootcert={folder}/ca.pem", "sslmode=require", ""])
async def test_the_connection_is_encrypted(port: int, folder: Path, options: str) -> None:
    """As the server itself says; the first way is the one that the docs recommend."""
    database = address(port, options.format(folder=folder))
    async with database.reading() as conn:
        assert await conn.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is True
    await database.close()


REFUSED: list[tuple[str, str, str, str]] = [
    ("sslmode=verify-full&sslrootcert={folder}/other.pem", "localhost", PASSWORD, "certificate verify failed"),
    ("sslmode=verify-full&sslrootcert={folder}/none.pem", "localhost", PASSWORD, "root certificate file"),
    ("sslmode=verify-full&sslrootcert={folder}/ca.pem", "127.0.0.1", PASSWORD, "does not match host name"),
    ("sslmode=disable", "localhost", PASSWORD, "no encryption"),
    ("sslmode=require", "localhost", f"{PASSWORD}2", "password authentication failed"),
]


async def test_what_is_not_as_the_address_demands_is_refused(port: int, folder: Path) -> None:
    """With the reason, without the password; no start waits for it, as no time cures it."""
    for options, host, password, words in REFUSED:
        database = address(port, options.format(folder=folder), host, password)
        with pytest.raises(StoreError, match=words) as caught:
            await database.ping()
        assert not isinstance(caught.value, StoreAway), words
        assert PASSWORD not in str(caught.value), words
        await database.close()
