"""The demo's journal: what the admins did so far, kept on disk, so that a demo that was cut off can continue."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from monitor.errors import ConfigurationError

NAME = "demo-of-harvest-monitor"
MAIL = "mail"
_BEGUN, _ENDED = "begun", "ended"


class Verb(StrEnum):
    UNTICK = "untick"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class AdminAction:
    """An admin ticks or unticks permissions of a tenant, by their labels."""

    verb: Verb
    tenant: str
    labels: tuple[str, ...]


class Journal:
    def __init__(self, folder: Path, file: TextIO) -> None:
        self.folder = folder
        self._file = file
        file.seek(0)
        whole, newline, _torn = file.read().rpartition("\n")  # the action of a torn line was not carried out yet
        file.truncate(len((whole + newline).encode()))
        self._lines = whole.splitlines()

    @property
    def is_cut_off(self) -> bool:
        return bool(self._lines) and _ENDED not in self._lines

    @property
    def actions(self) -> list[AdminAction]:
        entries = [json.loads(line) for line in self._lines if line not in (_BEGUN, _ENDED)]
        return [AdminAction(Verb(each["verb"]), each["tenant"], tuple(each["labels"])) for each in entries]

    def restart(self, now: datetime) -> None:
        """Delete everything in the folder that earlier demos left but their emails, which are put aside."""
        if any(self.folder.glob(f"{MAIL}/*")):
            (self.folder / MAIL).rename(self.folder / f"{MAIL}-until-{now:%Y-%m-%d-%H%M%S}")
        for path in self.folder.iterdir():
            if path.name.startswith(f"{MAIL}-until-"):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != NAME:
                path.unlink()
        self._file.truncate(0)
        self._lines.clear()
        self._write(_BEGUN)

    def add(self, action: AdminAction) -> None:
        """To be called before the action is carried out."""
        self._write(json.dumps(asdict(action)))

    def end(self) -> None:
        self._write(_ENDED)

    def _write(self, line: str) -> None:
        self._lines.append(line)
        self._file.write(line + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """For this process alone; ConfigurationError if the folder is not a demo's, or a demo runs in it."""
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()) and not (folder / NAME).exists():
        raise ConfigurationError(f"{folder} is not empty and not from an earlier demo: name another with --folder")
    folder.mkdir(parents=True, exist_ok=True)
    # Not "w": that would empty the journal of a demo that is running, before the lock is tried.
    with (folder / NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"a demo is running in {folder}: end it, or name another with --folder") from None
        journal = Journal(folder, file)
        try:
            yield journal
        finally:
            # Also after an error. Only kill -9 or a power failure skips it: that is how the next demo knows.
            journal.end()
