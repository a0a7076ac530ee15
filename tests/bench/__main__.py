"""Every figure of docs/performance.md.

    make bench                      everything: an hour on two idle cores
    make bench ARGS=--quick         small sizes, to see that it works; its figures mean nothing
    make bench ARGS=pipeline        one part
    make bench ARGS="pages --kept FOLDER --postgres URL"
                                    keep the databases that were made, and use them again; also on this Postgres
    make bench ARGS=--markdown      the tables of docs/performance.md; --json: one document

The exit status is 0 unless something fails; a figure that misses its aim is no failure.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import growth, history, neighbour, oauth, pages, pipeline, tenants_file
from tests.bench.answers import Exchange, first_table, full_table
from tests.bench.figures import Part, document, markdown, plain
from tests.bench.machine import Cores, described
from tests.bench.server import Addresses, fast_server
from tests.bench.sizes import FULL, QUICK, Sizes
from tests.bench.vendor import BenchVendor

PARTS = ("pipeline", "oauth", "growth", "neighbour", "year", "tenants-file", "pages")


@dataclass(frozen=True, slots=True)
class Bench:
    """Each measurement runs in its own process on one core; the server that answers is on another.

    `table` are the requests of a check, of which the first of a key sends `first_requests`.
    """

    cores: Cores
    server: Addresses
    table: Sequence[Exchange]
    first_requests: int
    sizes: Sizes
    folder: Path
    kept: Path | None = None
    postgres: str | None = None

    def run(self, names: Sequence[str]) -> Iterator[Part]:
        alone: dict[str, Callable[[Path], Part]] = {
            "pipeline": partial(pipeline.measure, self.server.clear, self.table, self.first_requests, self.sizes),
            "oauth": partial(oauth.measure, self.server.clear, self.sizes),
            "neighbour": partial(neighbour.measure, self.server.clear, self.table, self.sizes, self.cores),
            "year": partial(history.measure, self.sizes),
            "tenants-file": partial(tenants_file.measure, self.sizes),
        }
        for name in names:
            _progress(name)
            if name == "growth":
                yield from self._grow()
            elif name == "pages":
                # It has processes of its own.
                yield from pages.measure(self.sizes, self.kept, self.postgres, self.folder)
            else:
                (self.folder / name).mkdir()
                yield _apart(self.cores.measured, alone[name], self.folder / name)

    def _grow(self) -> Iterator[Part]:
        grown = {}
        for tenants in self.sizes.growth:
            _progress(f"growth: {tenants:,} tenants")
            vendor = BenchVendor.of(self.folder / f"vendor-{tenants}", tenants)
            grown[tenants] = _apart(self.cores.measured, growth.grow, self.server.clear, self.first_requests, vendor)
        yield growth.growth(grown)
        _progress("growth: serve")
        yield growth.pace(self.server.encrypted, vendor, self.sizes)


def _apart(cores: frozenset[int], measure: Callable[..., Any], *arguments: Any) -> Any:
    new = multiprocessing.get_context("forkserver")
    new.set_forkserver_preload(["monitor.service", "tests.bench.pipeline", "tests.bench.year"])
    with ProcessPoolExecutor(1, new, initializer=os.sched_setaffinity, initargs=(0, cores)) as one:
        return one.submit(measure, *arguments).result()


def bench(names: Sequence[str], sizes: Sizes, kept: Path | None, postgres: str | None) -> Iterator[Part]:
    """Each part as soon as it is done."""
    table, first_requests = asyncio.run(full_table()), len(asyncio.run(first_table()))
    cores = Cores.apart() if sizes.apart else Cores.shared()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="harvest-monitor-bench-")))
        server = opened.enter_context(fast_server([*table, *oauth.exchanges(oauth.partner())], cores.other))
        yield from Bench(cores, server, table, first_requests, sizes, folder, kept, postgres).run(names)


def main(arguments: Sequence[str]) -> None:
    options = _arguments(arguments)
    date, machine = datetime.now(UTC).date().isoformat(), described()
    parts = bench(options.parts or PARTS, QUICK if options.quick else FULL, options.kept, options.postgres)
    if options.json:
        shown = document(parts, date=date, machine=machine, quick=options.quick)
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    print(f"{date}: {machine}", flush=True)
    for part in parts:
        print(f"\n{markdown(part) if options.markdown else plain(part)}", flush=True)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one or more of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, ten seconds")
    parser.add_argument("--kept", type=Path, metavar="FOLDER", help="keep the databases of `pages` here")
    parser.add_argument("--postgres", metavar="URL", help="an empty database, or one that `pages` filled before")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON document on standard output")
    shown.add_argument("--markdown", action="store_true", help="the tables of docs/performance.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _progress(what: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
