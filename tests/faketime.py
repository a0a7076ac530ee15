"""A clock that a test sets for one process: libfaketime, preloaded, with the offset in a file."""

from pathlib import Path

LIBRARIES = (
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib").glob("faketime/libfaketimeMT.so.1"),
)


class NoFakeTime(Exception):
    """The library is not installed; the text says how it is."""


class FakeTime:
    """`environment` is for the process; `set` moves its time of day, and leaves alone the seconds that go by.

    The library breaks time.sleep in Python 3.11, which a service on an event loop does not call.
    """

    def __init__(self, folder: Path) -> None:
        if not LIBRARIES:
            raise NoFakeTime("libfaketime is not installed: apt install libfaketime")
        self._file = folder / "faketime"
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Such as `-1d`, `+400d`, or `@2026-11-01 05:59:50` for a time of day that goes on from there."""
        new = self._file.with_suffix(".new")
        new.write_text(offset + "\n")
        new.replace(self._file)
