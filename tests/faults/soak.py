"""`python -m tests.faults.soak`: hours of one process in minutes, with faults coming and going; nothing may grow.

Only settings are compressed. Samples are taken after each fault; exit status 1 if anything grows or is lost.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.faults import strikes
from tests.faults.run import in_turn
from tests.faults.strikes import Strike
from tests.faults.world import World

SAMPLES, BETWEEN_SECONDS = 16, 0.25
WARM_UP = 3  # samples: caches fill, and the allocator finds its size
MOST_MORE = {"memory": 1.05, "handles": 1.0, "tasks": 1.0}
"""The last third of the samples may have this multiple of the first third."""


@dataclass(frozen=True)
class Sample:
    """A calm moment: bytes, open files and connections, tasks, each at its lowest between checks."""

    checks: float
    memory: float
    handles: float
    tasks: float


class ResourceSampler:
    """A strike without a fault: it samples a service that has recovered."""

    def __init__(self, say: Callable[[Sample], None] = lambda _: None) -> None:
        self.samples: list[Sample] = []
        self._say = say

    def __call__(self, world: World, rng: random.Random) -> None:
        self.samples.append(_sample(world))
        self._say(self.samples[-1])


def grown(samples: Sequence[Sample]) -> list[str]:
    """What the last third has more of than the first, after the warm-up."""
    warm = samples[WARM_UP:]
    third = max(1, len(warm) // 3)
    found = []
    for name, most in MOST_MORE.items():
        first, last = (statistics.median(getattr(s, name) for s in part) for part in (warm[:third], warm[-third:]))
        if last > first * most:
            found.append(f"{name}: {first:.0f} at first, {last:.0f} at last")
    return found


def _sample(here: World) -> Sample:
    lowest: dict[str, float] = {}
    for _ in range(SAMPLES):
        for name, value in _exported(here).items():
            lowest[name] = value if name == "checks" else min(value, lowest.get(name, value))
        time.sleep(BETWEEN_SECONDS)
    return Sample(**lowest)


def _exported(here: World) -> dict[str, float]:
    names = {
        "harvest_monitor_checks_total": "checks",
        "harvest_monitor_process_resident_memory_bytes": "memory",
        "harvest_monitor_process_open_fds": "handles",
        "harvest_monitor_tasks": "tasks",
    }
    found = dict.fromkeys(names.values(), 0.0)
    for family in text_string_to_metric_families(here.service.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name in names:
                found[names[sample.name]] += sample.value
    return found


def _for(minutes: float, sampler: ResourceSampler) -> Iterator[Strike]:
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        yield sampler
        yield from (strikes.outage, strikes.stop_mail_server, strikes.lock, strikes.slow_tenant)


def _print(sample: Sample) -> None:
    shown = f"{sample.checks:9.0f} {sample.memory / 1e6:9.1f} {sample.handles:8.0f} {sample.tasks:6.0f}"
    print(f"{time.strftime('%H:%M:%S')} {shown}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    print(f"{'':8} {'checks':>9} {'MB':>9} {'handles':>8} {'tasks':>6}")
    sampler = ResourceSampler(_print)
    with tempfile.TemporaryDirectory() as folder:
        result = in_turn(_for(options.minutes, sampler), "soak", Path(folder) / "soak", key_changing=0)
    problems = [*grown(sampler.samples), *result.findings.fatal]
    print("\n".join(problems) or "nothing has grown, nothing was lost")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
