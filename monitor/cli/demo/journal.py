"""The demo's book: what was done on the stage so far, kept on disk, so that a demo that was cut off can go on."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from monitor.errors import ConfigurationError

NAME = "demo-of-harvest-monitor"
_BEGUN, _ENDED = "begun", "ended"


class Verb(StrEnum):
    UNTICK = "untick"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Act:
    """An admin ticks or unticks permissions of a tenant, by their labels."""

    verb: Verb
    tenant: str
    labels: tuple[str, ...]


class Journal:
    def __init__(self, folder: Path, file: TextIO) -> None:
        self.folder = folder
        self._file = file
        file.seek(0)
        whole, newline, _torn = file.read().rpartition("\n")  # what a torn line was to say was not done yet
        file.truncate(len((whole + newline).encode()))
        self._lines = whole.splitlines()

    @property
    def is_cut_off(self) -> bool:
        return bool(self._lines) and _ENDED not in self._lines

    @property
    def acts(self) -> list[Act]:
        facts = [json.loads(line) for line in self._lines if line not in (_BEGUN, _ENDED)]
        return [Act(Verb(each["verb"]), each["tenant"], tuple(each["labels"])) for each in facts]

    def begin_anew(self) -> None:
        """Empty the folder of all that earlier demos left."""
        for left in self.folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != NAME:
                left.unlink()
        self._file.truncate(0)
        self._lines.clear()
        self._write(_BEGUN)

    def add(self, act: Act) -> None:
        """To be called before it is done."""
        self._write(json.dumps(asdict(act)))

    def end(self) -> None:
        self._write(_ENDED)

    def _write(self, line: str) -> None:
        self._lines.append(line)
        self._file.write(line + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def opened(folder: Path) -> Iterator[Journal]:
    """For this process alone; ConfigurationError if the folder is somebody else's, or a demo is at work in it."""
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()) and not (folder / NAME).exists():
        raise ConfigurationError(f"{folder} is not empty and not of an earlier demo: name another with --folder")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"a demo is at work in {folder}: end it, or name another with --folder") from None
        book = Journal(folder, file)
        try:
            yield book
        finally:
            book.end()
