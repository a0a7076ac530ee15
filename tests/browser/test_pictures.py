"""README's pictures of the pages: what they show, and how large they are."""

import shutil
import struct
from pathlib import Path

from sqlalchemy import URL

from monitor.store.database import Database
from tests.browser.world import MAIL, NOW, fill_well
from tests.installation import Clock
from tests.pictures.on_call import GOOD_DAY, NIGHT, WORDS, lift_halt, words
from tests.website import website

MOST_BYTES = 150_000


async def test_the_pages_in_the_pictures_are_todays(world_file: Path, sqlite: Database, tmp_path: Path) -> None:
    """Pages and pictures say the same; if this fails, run `make pictures`."""
    shutil.copy(world_file, tmp_path / "night.sqlite3")
    night = Database(URL.create("sqlite+aiosqlite", database=str(tmp_path / "night.sqlite3")))
    await lift_halt(night)
    await fill_well(sqlite)
    said = []
    for db, pictures in ((night, NIGHT), (sqlite, GOOD_DAY)):
        async with website(db, clock=Clock(NOW), **MAIL) as web:
            said.append(await words(web, pictures))
    await night.close()
    assert WORDS.read_text("utf-8") == "\n".join(said)


def test_pictures_are_small_and_as_large_as_a_screen() -> None:
    """Each has the pixels of its desk or phone, and loads in a moment."""
    for one in (*NIGHT, *GOOD_DAY):
        picture = one.file.read_bytes()
        assert len(picture) < MOST_BYTES, one.name
        size = struct.unpack(">II", picture[16:24])
        assert size == (one.width * one.scale, one.height * one.scale), one.name
