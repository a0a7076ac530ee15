"""A clock that a test sets for one process: libfaketime, preloaded, with the offset in a file."""

from pathlib import Path

from tests.real_part import PartUnavailable

LIBRARIES = (
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1"),
)


class FakeTimeUnavailable(PartUnavailable):
    """The library is not installed; the text says how to install it."""


class FakeTime:
    """`environment` is for the process; `set` changes its time of day, but not its monotonic clock.

    The library breaks time.sleep in Python 3.11; the service does not call it.
    """

    def __init__(self, folder: Path) -> None:
        if not LIBRARIES:
            raise FakeTimeUnavailable("libfaketime is not installed: apt install libfaketime")
        self._file = folder / "faketime"
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """For example `-1d`, `+400d`, or `@2026-11-01 05:59:50`, a time of day from which the clock goes on."""
        new = self._file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.replace(self._file)
