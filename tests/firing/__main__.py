"""`python -m tests.firing`: exit status 1 if an alert did not arrive, or did not end."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.firing.scenes import FEW_TENANTS, MANY_TENANTS, ON_POSTGRES, Scene
from tests.firing.world import World, watch, world
from tests.postgres import running_postgres
from tests.prometheus import A_DAY_SECONDS, Prometheus, running_prometheus

MINUTE_SECONDS = 1.5
PATIENCE_SECONDS = 300.0
PREFIX = "HarvestMonitor"


@dataclass(frozen=True)
class Measured:
    """None for what did not happen."""

    alert: str
    scene: Scene
    arrived: float | None
    ended: float | None

    @property
    def row(self) -> str:
        seconds = [" – " if each is None else f"{each:.0f}" for each in (self.arrived, self.ended)]
        return f"| `{PREFIX}{self.alert}` | {self.scene.how} | {seconds[0]} | {self.scene.end} | {seconds[1]} |"


def main() -> int:
    wanted = _arguments().alerts
    measured: list[Measured] = []
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="harvest-monitor-firing-")))
        prometheus = opened.enter_context(running_prometheus({}, MINUTE_SECONDS))
        worlds = [
            (world("few", folder / "few", 4), FEW_TENANTS),
            (world("many", folder / "many", 6), MANY_TENANTS),
            (_on_postgres(folder / "postgres"), ON_POSTGRES),
        ]
        for opening, scenes in worlds:
            chosen = [scene for scene in scenes if not wanted or set(scene.alerts) & set(wanted)]
            if chosen:
                with opening as made:
                    measured += _played(prometheus, made, chosen)
    say("\n| alert | provoked by | seconds to arrive | ended by | seconds to resolve |\n|---|---|---|---|---|")
    for each in measured:
        say(each.row)
    return int(any(each.arrived is None or each.ended is None for each in measured))


@contextmanager
def _on_postgres(folder: Path) -> Iterator[World]:
    with running_postgres() as server, world("postgres", folder, 2, server) as made:
        yield made


def _played(prometheus: Prometheus, made: World, scenes: Iterable[Scene]) -> Iterator[Measured]:
    watch(prometheus, made)
    # What is compared with the day before needs a day before.
    time.sleep(A_DAY_SECONDS + 5)
    quiet = {each.alert for each in prometheus.receiver.messages if each.labels.get("job") == made.job and each.firing}
    say(f"{made.job}: on a day without trouble fired: {', '.join(quiet) or 'nothing'}")
    for scene in scenes:
        made.healthy()
        yield from _measured(prometheus, made, scene)
        made.tick()


def _measured(prometheus: Prometheus, made: World, scene: Scene) -> Iterator[Measured]:
    struck = time.monotonic()
    scene.strike(made)
    arrived = {alert: _waited(prometheus, made, alert, True) for alert in scene.alerts}
    mended = time.monotonic()
    scene.mend(made)
    for alert, at in arrived.items():
        ended = None if at is None else _waited(prometheus, made, alert, False)
        yield (found := Measured(alert, scene, at and at - struck, ended and max(0.0, ended - mended)))
        say(found.row)


def _waited(prometheus: Prometheus, made: World, alert: str, firing: bool) -> float | None:
    wait = prometheus.receiver.wait_until_fired if firing else prometheus.receiver.wait_until_resolved
    try:
        return wait(PREFIX + alert, made.job, PATIENCE_SECONDS).at
    except AssertionError:
        return None


def say(text: str) -> None:
    print(text, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.firing", description=__doc__)
    parser.add_argument("--alerts", nargs="+", metavar="ALERT", help="only these, without HarvestMonitor before them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
