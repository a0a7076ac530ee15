"""The machine a measurement runs on: its cores, what a process used, and a description."""

import os
import platform
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores for what is measured, and those for the server that answers."""

    measured: frozenset[int]
    other: frozenset[int]

    @classmethod
    def apart(cls) -> "Cores":
        """One core for each; the same one if there is only one."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(frozenset(usable[:1]), frozenset(usable[-1:]))

    @classmethod
    def shared(cls) -> "Cores":
        """All cores for both, so that small sizes finish soon on a busy machine."""
        usable = frozenset(os.sched_getaffinity(0))
        return cls(usable, usable)


def cpu_seconds(pid: int | str = "self") -> float:
    """Processor time of a process so far, user and system, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def peak_megabytes(pid: int | str = "self") -> float:
    """Peak resident memory of a process, in millions of bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text("ascii"), re.M)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def described() -> str:
    """In one line: processor, cores, memory, system, Python and SQLite."""
    model = _first_of("/proc/cpuinfo", r"^model name\s*: (.+)$") or platform.machine()
    memory = int(_first_of("/proc/meminfo", r"^MemTotal:\s+(\d+) kB$") or 0) / 1024**2
    system = _first_of("/etc/os-release", r'^PRETTY_NAME="(.+)"$') or platform.system()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model}, {cores} cores, {memory:.0f} GiB; {system}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def _first_of(path: str, pattern: str) -> str | None:
    found = re.search(pattern, Path(path).read_text("utf-8"), re.M)
    return found[1].strip() if found else None
