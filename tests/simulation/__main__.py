"""The table of waves in docs/notices.md.

make simulate                                          a chosen grid
make simulate ARGS="--whole"                           the whole grid: many hours
make simulate ARGS="--tenants 100 --kind one --runs 50 --ratio 16"
make simulate ARGS="--independent 365"                 what is held of independent losses, in so many days
"""

import argparse
import asyncio
import logging
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from tests.simulation.simulation import PERMISSIONS, Outcome, run_cell, run_independent, template
from tests.simulation.wave import Cell, WaveKind

SHARES = (0.01, 0.02, 0.05, 0.10, 0.22, 0.50, 1.0)
WHOLE = (10, 20, 100, 500, 1_000, 10_000)
CHOSEN = (10, 100, 1_000)
KINDS = {"one": WaveKind.ONE, "each": WaveKind.EACH, "revoked": WaveKind.REVOKED, "day": WaveKind.DAY}


def main(arguments: Sequence[str]) -> None:
    asked = _parser().parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.exists() else None) as name:
        folder = Path(name)
        if asked.independent:
            _independent(asked, folder)
        else:
            _table(asked, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Waves, simulated.")
    parser.add_argument("--whole", action="store_true", help="every size, ratio and kind")
    parser.add_argument("--tenants", type=int, nargs="+")
    parser.add_argument("--share", type=float, nargs="+", default=SHARES, help="such as 0.05")
    parser.add_argument("--kind", choices=KINDS, nargs="+")
    parser.add_argument("--ratio", type=int, nargs="+", help="interval : settle time")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--independent", type=int, metavar="DAYS", help="independent losses instead of waves")
    return parser


def _table(asked: argparse.Namespace, folder: Path) -> None:
    sizes = asked.tenants or (WHOLE if asked.whole else CHOSEN)
    kinds = asked.kind or (tuple(KINDS) if asked.whole else ("one", "each", "revoked"))
    ratios = asked.ratio or ((16, 4, 48) if asked.whole else (16,))
    print("| kind | interval : settle | tenants | " + " | ".join(f"{share:.0%}" for share in asked.share) + " |")
    print("|---|---|---" + "|---" * len(asked.share) + "|", flush=True)
    with ProcessPoolExecutor(asked.processes) as pool:
        for tenants in sizes:
            source = folder / f"{tenants}.sqlite3"
            asyncio.run(template(source, tenants))
            for kind in kinds:
                for ratio in ratios:
                    cells = [Cell(tenants, share, KINDS[kind], ratio) for share in asked.share]
                    row = [_cell(pool, cell, asked.runs, source, folder) for cell in cells]
                    print(f"| {KINDS[kind]} | {ratio}:1 | {tenants:,} | " + " | ".join(row) + " |", flush=True)


def _cell(pool: ProcessPoolExecutor, cell: Cell, runs: int, source: Path, folder: Path) -> str:
    if cell.tenants * cell.share < 1:
        return ""
    left = sorted(outcome.left for outcome in pool.map(partial(_run, cell, source, folder), range(runs)))
    causes = 6 if cell.kind is WaveKind.DAY else 1
    middle = statistics.median_high(left)
    return f"{middle}/{left[_at_95(runs)]}/{left[-1]} of {cell.turned * causes:,}"


def _at_95(runs: int) -> int:
    """The run that 95 of 100 do not exceed."""
    return max(0, -(-95 * runs // 100) - 1)


def _run(cell: Cell, source: Path, folder: Path, seed: int) -> Outcome:
    _quiet()
    return asyncio.run(run_cell(cell, seed, source, folder))


def _independent(asked: argparse.Namespace, folder: Path) -> None:
    for tenants in asked.tenants or (1_000,):
        source = folder / f"independent-{tenants}.sqlite3"
        asyncio.run(template(source, tenants, PERMISSIONS))
        with ProcessPoolExecutor(asked.processes) as pool:
            run = partial(_run_independent, tenants, asked.independent, source, folder)
            outcomes = list(pool.map(run, range(asked.runs)))
        left, held = (sum(values) for values in zip(*_pairs(outcomes), strict=True))
        print(f"{tenants:,} tenants, {asked.independent} days, {asked.runs} runs: {held} of {left + held} emails held")


def _run_independent(tenants: int, days: int, source: Path, folder: Path, seed: int) -> Outcome:
    _quiet()
    return asyncio.run(run_independent(tenants, days, seed, source, folder))


def _pairs(outcomes: Sequence[Outcome]) -> Iterator[tuple[int, int]]:
    return ((outcome.left, outcome.held) for outcome in outcomes)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    main(sys.argv[1:])
