"""A Postgres that knows no encoding, as `initdb` makes it where no language is set, keeps every character."""

from sqlalchemy import URL, text

from monitor.store.database import Database
from tests.conftest import administer

NAME = "Zoë, Łódź, 東京, 😀"


async def test_a_database_without_an_encoding_works(postgres_server: URL) -> None:
    """Its tables are made, and what is written comes back."""
    administer(
        postgres_server, "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    url = postgres_server.set(database="ascii")
    database = Database(url)
    try:
        await database.migrate()
        async with database.reading() as conn:
            assert (await conn.execute(text("SELECT CAST(:name AS text)"), {"name": NAME})).scalar_one() == NAME
    finally:
        await database.close()
        administer(postgres_server, "DROP DATABASE ascii WITH (FORCE)")
