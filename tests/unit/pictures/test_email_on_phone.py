"""The pictures of the email: what they show, and how large they are."""

import struct

from tests.pictures import IMAGES
from tests.pictures.email_on_phone import SCALE, SCHEMES, SOURCE, WIDTH, page

MOST_BYTES = 200_000


def test_the_email_in_the_picture_is_todays() -> None:
    """Templates and picture say the same; if this fails, run `make pictures`."""
    assert SOURCE.read_text("utf-8") == page()


def test_the_page_shows_the_subject_and_loads_nothing() -> None:
    """It has what a mail program shows above the email, and no address of anything."""
    assert "Globex: " in page()
    assert "GET: List offers" in page()
    assert "://" not in page()


def test_pictures_are_small_and_as_wide_as_a_phone() -> None:
    """A light one and a dark one, of the same size."""
    sizes = set()
    for scheme in SCHEMES:
        picture = (IMAGES / f"email-{scheme}.png").read_bytes()
        assert len(picture) < MOST_BYTES
        sizes.add(struct.unpack(">II", picture[16:24]))
    ((width, _),) = sizes
    assert width == WIDTH * SCALE
