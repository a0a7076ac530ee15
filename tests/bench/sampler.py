"""Where processor time goes: samples the event loop's stack every millisecond of it.

Each sample is weighted with the time the loop's own thread has used since the last one, so pauses and the work of other
threads do not count. Time in C counts for the Python function that called it.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.001

_WIRE = ("wire/", "answer.py", "v1/gate.py", "v3/gate.py", "v3/token_answers.py")
_LAYERS = (
    ("httpx, aiohttp", ("/httpx/", "/httpx_aiohttp/", "/aiohttp/", "/yarl/", "/multidict/")),
    ("client, gate, answers", tuple(f"/checks/{part}" for part in _WIRE)),
    ("requests and verdicts", ("/checks/",)),
    ("logs", ("/structlog/", "/logging/", "/monitor/logs.py", "/monitor/redaction.py")),
    ("metrics", ("/prometheus_client/", "/monitor/metrics.py")),
    ("breaker", ("/monitor/breaker/",)),
    ("SQLAlchemy and the store", ("/sqlalchemy/", "/aiosqlite/", "/monitor/store/", "queries.py", "/greenlet/")),
    ("drift, incidents, schedule", ("/monitor/drift/", "/monitor/incidents/", "/monitor/checking/schedule.py")),
    ("sweep, write guards, keys", ("/monitor/",)),
    ("asyncio", ("/asyncio/", "/selectors.py")),
)
_ROOT = str(Path(__file__).parents[2])
SQLITE = "SQLite's own threads"
REST = "the rest"


class Samples:
    """Seconds of processor time, by layer."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys((*(layer for layer, _ in _LAYERS), REST, SQLITE), 0.0)
        self._at = time.thread_time()

    def take(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        self.seconds[layer_of(frame)] += now - self._at
        self._at = now


@contextmanager
def sampling() -> Iterator[Samples]:
    """Samples the main thread, where the event loop runs; what other threads use counts for the database."""
    samples = Samples()
    began = time.process_time() - time.thread_time()
    before = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        samples.seconds[SQLITE] += time.process_time() - time.thread_time() - began


def layer_of(frame: FrameType | None) -> str:
    """The layer of the innermost function that has one; the standard library counts for its caller."""
    while frame is not None:
        layer = _layer_of_file(frame.f_code.co_filename)
        if layer is not None:
            return layer
        frame = frame.f_back
    return REST


_known: dict[str, str | None] = {}


def _layer_of_file(name: str) -> str | None:
    if name not in _known:
        within = name.removeprefix(_ROOT)
        _known[name] = next((layer for layer, parts in _LAYERS if any(part in within for part in parts)), None)
    return _known[name]
