"""Every figure of docs/performance.md.

    make bench                      all of it: half an hour on two cores that do nothing else
    make bench ARGS=--quick         small sizes, to see that it works; its figures mean nothing
    make bench ARGS=pipeline        one part
    make bench ARGS=--markdown      the tables as docs/performance.md has them; --json: one document

The exit status is 0 unless something broke: a figure that misses its aim is a figure.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import growth, history, neighbour, pipeline, tenants_file
from tests.bench.answers import Exchange, full_table
from tests.bench.figures import Part, document, markdown, plain
from tests.bench.machine import Cores, described
from tests.bench.server import fast_server
from tests.bench.sizes import FULL, QUICK, Sizes
from tests.bench.vendor import Vendor

PARTS = ("pipeline", "growth", "neighbour", "year", "tenants-file")


@dataclass
class Bench:
    """Each measurement has a process of its own, on one core; what answers it is on another."""

    address: str
    table: Sequence[Exchange]
    sizes: Sizes
    folder: Path
    tell: Callable[[str], None]
    parts: list[Part] = field(default_factory=list)

    def run(self, names: Sequence[str]) -> list[Part]:
        alone: dict[str, Callable[[Path], Part]] = {
            "pipeline": partial(pipeline.measure, self.address, self.table, self.sizes),
            "neighbour": partial(neighbour.measure, self.address, self.table, self.sizes),
            "year": partial(history.measure, self.sizes),
            "tenants-file": partial(tenants_file.measure, self.sizes),
        }
        for name in names:
            self.tell(name)
            if name == "growth":
                self._grow()
            else:
                (self.folder / name).mkdir()
                self.parts.append(_apart(alone[name], self.folder / name))
        return self.parts

    def _grow(self) -> None:
        grown = {}
        for tenants in self.sizes.growth:
            self.tell(f"growth: {tenants:,} tenants")
            vendor = Vendor.of(self.folder / f"vendor-{tenants}", tenants)
            grown[tenants] = _apart(growth.grow, self.address, len(self.table), vendor)
        self.tell("growth: serve")
        self.parts += [growth.growth(grown), growth.pace(self.address, vendor, self.sizes)]


def _apart(measure: Callable[..., Any], *arguments: Any) -> Any:
    core = Cores.of_this_machine().measured
    new = multiprocessing.get_context("forkserver")
    new.set_forkserver_preload(["monitor.service", "tests.bench.pipeline", "tests.bench.year"])
    with ProcessPoolExecutor(1, new, initializer=os.sched_setaffinity, initargs=(0, {core})) as one:
        return one.submit(measure, *arguments).result()


def bench(names: Sequence[str], sizes: Sizes, tell: Callable[[str], None]) -> list[Part]:
    table = asyncio.run(full_table())
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="harvest-monitor-bench-")))
        address = opened.enter_context(fast_server(table, Cores.of_this_machine().other))
        return Bench(address, table, sizes, folder, tell).run(names)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one or more of {', '.join(PARTS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes, ten seconds")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON document on standard output")
    shown.add_argument("--markdown", action="store_true", help="the tables of docs/performance.md")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = bench(given.parts or PARTS, QUICK if given.quick else FULL, _tell)
    about = {"date": datetime.now(UTC).date().isoformat(), "machine": described(), "quick": given.quick}
    if given.json:
        print(json.dumps(document(parts, about), indent=2, ensure_ascii=False))
    elif given.markdown:
        print(f"{about['date']}, {about['machine']}\n\n{markdown(parts)}")
    else:
        print(f"{about['machine']}{plain(parts)}")


def _tell(what: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
