"""A terminal of a given width around a command that runs in this process."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Callable
from threading import Thread

import pytest
from rich.cells import cell_len

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, run: Callable[[], object]) -> list[str]:
    """What stands on the screen, line by line, without colours: stdout and stderr are a real terminal."""
    return _ESCAPE.sub("", in_colour(monkeypatch, columns, run)).split("\n")


def in_colour(
    monkeypatch: pytest.MonkeyPatch, columns: int, run: Callable[[], object], *, no_color: str | None = None
) -> str:
    """What such a terminal is sent, with the codes for colours; `no_color` is the variable NO_COLOR."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    shown: list[bytes] = []
    reader = Thread(target=_read, args=(master, shown))
    reader.start()
    try:
        _with_streams(slave, run)
    finally:
        os.close(slave)
        reader.join()
        os.close(master)
    return b"".join(shown).decode().replace("\r", "")


def too_wide(lines: list[str], columns: int) -> list[str]:
    return [line for line in lines if cell_len(line) > columns]


def _with_streams(slave: int, run: Callable[[], object]) -> None:
    before, streams = [os.dup(number) for number in (0, 1, 2)], (sys.stdout, sys.stderr)
    try:
        for number in (0, 1, 2):
            os.dup2(slave, number)
        with os.fdopen(os.dup(slave), "w", encoding="utf-8") as terminal:
            sys.stdout = sys.stderr = terminal
            run()
    finally:
        sys.stdout, sys.stderr = streams
        for number, copy in enumerate(before):
            os.dup2(copy, number)
            os.close(copy)


def _read(master: int, shown: list[bytes]) -> None:
    try:
        while part := os.read(master, 65536):
            shown.append(part)
    except OSError:  # Linux tells so that the last writer is gone
        pass
