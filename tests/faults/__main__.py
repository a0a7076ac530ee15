"""`python -m tests.faults`: exit status 1 if anything was lost, wrongly doubled, or otherwise wrong."""

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.matrix import ROWS, batches, run, table


def main() -> int:
    options = _arguments()
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    todo = batches([row for row in ROWS if row.name in (options.rows or row.name)], seed, options.most)
    say(f"seed {seed}; {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    folder = Path(tempfile.mkdtemp(prefix="harvest-monitor-faults-"))
    results = run(todo, options.at_once, folder, say)
    say(table(results))
    if any(result.findings.fatal for of_one in results.values() for result in of_one):
        say(f"the remains are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def say(text: str) -> None:
    print(text, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, help="only these faults")
    parser.add_argument("--most", type=int, help="maximum number of each fault (default: the long form)")
    parser.add_argument("--at-once", type=int, default=3, help="number of runs in parallel")
    parser.add_argument("--seed", type=int, help="the seed of an earlier run")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
