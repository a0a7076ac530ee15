"""The rows of the matrix, run in parallel, and the resulting table."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import strikes
from tests.faults.run import Result, at_the_first_start, at_work, on_a_small_disk, on_postgres

Run = Callable[[int, str, Path], Result]


@dataclass(frozen=True)
class Row:
    """`long` strikes in the long form, in batches that run in parallel."""

    name: str
    title: str
    run: Run
    long: int
    batch: int


ROWS = [
    Row("kill", "kill -9 at any moment of sweeps and mails", partial(at_work, strikes.kill), 60, 30),
    Row("mail", "kill -9 while a mail is with the mail server", partial(at_work, strikes.kill_while_mailing), 40, 20),
    Row("postgres", "kill -9 at any moment, on Postgres", partial(on_postgres, strikes.kill), 20, 20),
    Row("two", "kill -9 of one of two services on one file", partial(at_work, strikes.kill_one_of_two), 20, 20),
    Row("start", "kill -9 at the first start", at_the_first_start, 15, 15),
    Row("stop", "SIGTERM and a new start", partial(at_work, strikes.terminate), 20, 20),
    Row("freeze", "frozen past its deadline", partial(at_work, strikes.freeze), 10, 10),
    Row("lock", "database locked by another program", partial(at_work, strikes.lock), 10, 10),
    Row("disk", "disk full", on_a_small_disk, 8, 8),
    Row("post", "mail server away", partial(at_work, strikes.stop_mail_server), 10, 10),
    Row("outage", "Greenhouse down for all", partial(at_work, strikes.outage, key_changing=0), 10, 10),
]


@dataclass(frozen=True)
class Batch:
    row: Row
    number: int
    seed: str


def batches(rows: Iterable[Row], seed: int, most: int | None) -> list[Batch]:
    """At most `most` strikes of each row, by default as many as in the long form."""
    found = []
    for row in rows:
        left = row.long if most is None else min(most, row.long)
        for start in range(0, left, row.batch):
            found.append(Batch(row, min(row.batch, left - start), f"{seed}/{row.name}/{start}"))
    return sorted(found, key=lambda batch: -batch.number)


def run(todo: list[Batch], at_once: int, folder: Path, say: Callable[[str], None]) -> dict[str, list[Result]]:
    """Results by row; a batch that could not be run is reported, and counts as wrong."""
    results: dict[str, list[Result]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context) as pool:
        under_way = {pool.submit(_timed, batch, folder): batch for batch in todo}
        for done in as_completed(under_way):
            batch = under_way[done]
            try:
                result, seconds = done.result()
            except Exception as problem:
                result, seconds = Result(), 0.0
                result.findings.wrong.append(f"{type(problem).__name__}: {problem}")
            results.setdefault(batch.row.name, []).append(result)
            say(_summary(batch, result, seconds))
    return results


def _timed(batch: Batch, folder: Path) -> tuple[Result, float]:
    began = time.monotonic()
    result = batch.row.run(batch.number, batch.seed, folder / batch.seed.replace("/", "-"))
    return result, time.monotonic() - began


def _summary(batch: Batch, result: Result, seconds: float) -> str:
    found = result.findings
    lines = [
        f"{batch.seed}: {result.strikes} faults, {result.kills_in_checks} of them in a check; {found.changes} changes, "
        f"{len(found.events_lost) + len(found.mails_lost)} lost, {found.mails_doubled} mails doubled; {seconds:.0f} s"
    ]
    return "\n".join(lines + [f"    {line}" for line in found.fatal])


def table(results: dict[str, list[Result]]) -> str:
    """As a Markdown table."""
    lines = [
        "| fault | runs | changes | lost | events doubled | mails doubled | time to recover |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        if theirs := results.get(row.name):
            found = [result.findings for result in theirs]
            cells = [
                row.title,
                sum(result.strikes for result in theirs),
                sum(each.changes for each in found),
                sum(len(each.events_lost) + len(each.mails_lost) for each in found),
                sum(len(each.events_doubled) for each in found),
                sum(each.mails_doubled for each in found),
                _recovery([seconds for result in theirs for seconds in result.seconds]),
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _recovery(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.0f} s, at most {max(seconds):.0f} s" if seconds else ""
