"""A small disk for one test, which can be filled and made read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_part import PartUnavailable

MEGABYTES = 16


class DiskUnavailable(PartUnavailable):
    """No disk can be mounted, usually because this user may not; the text says what was refused."""


class Disk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Fill it up to the last byte."""
        with self._filler.open("wb", buffering=0) as filler:
            for size in (1 << 16, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    continue

    def make_room(self) -> None:
        self._filler.unlink()

    def remount(self, how: str) -> None:
        """`ro` or `rw`; fails while a file is open for writing."""
        _mount("-o", f"remount,{how}", str(self.folder))


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """DiskUnavailable if it cannot be mounted; unmounted at the end, even if files are still open."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0700", "tmpfs", str(folder))
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        os.rmdir(folder)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise DiskUnavailable(done.stderr.strip())
