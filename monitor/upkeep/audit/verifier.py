"""Compares the history with its signatures: every row, a few at a time, however many there are."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.upkeep.audit import batch_queries
from monitor.upkeep.audit.chain import BEFORE_ALL, AuditKey, ChainHead, HistoryKind, SignedBatch
from monitor.upkeep.audit.chain_report import ChainFinding, ChainProblem, ChainReport
from monitor.upkeep.audit.chain_walk import ChainWalk, SignedRange

PAGE = 100  # batches in one transaction: it is short, so that SQLite's log can be shortened in between
_EXAMINED = 10_000  # ids of one batch
_NAMED = 20  # ids in a finding
_SHORTEST_NOTE = 16  # hex digits of a signature


class HistoryVerifier:
    """`progressed` is called with how many batches are done, of how many."""

    def __init__(
        self,
        db: Database,
        key: AuditKey,
        progressed: Callable[[int, int], None] = lambda done, total: None,
        *,
        first: int = 1,
        noted: ChainHead | None = None,
        page: int = PAGE,
    ) -> None:
        """Start at batch `first`, and require the batch `noted`, whose signature may be its first digits only."""
        if noted is not None and len(noted.batch_signature) < _SHORTEST_NOTE:
            raise ConfigurationError(f"a signature to compare with has at least {_SHORTEST_NOTE} digits: give more")
        self._db = db
        self._key = key
        self._progressed = progressed
        self._first = first
        self._noted = noted
        self._page = page
        self._report = ChainReport(key.id)

    async def run(self) -> ChainReport:
        """ConfigurationError if there is no batch `first`, and was none."""
        async with self._db.reading() as conn:
            walk = await self._begin(conn)
            total = await batch_queries.count_batches(conn)
        after, more = BEFORE_ALL if self._first == 1 else self._first - 1, True
        while more:
            # Batches and their rows as of one moment: the service prunes and signs meanwhile.
            async with self._db.reading() as conn:
                batches = await batch_queries.batches(conn, after, self._page)
                await self._compare_all(conn, walk, batches)
                more = len(batches) == self._page
                if not more:
                    await self._end(conn, walk)
            after = batches[-1].id if batches else after
            self._progressed(self._report.batches, total)
        return self._report

    async def _begin(self, conn: AsyncConnection) -> ChainWalk:
        if self._first == 1:
            return ChainWalk(self._key, 1, dict.fromkeys(HistoryKind, BEFORE_ALL))
        newest = await batch_queries.newest_batch(conn)
        if newest is None or self._first > newest.id:
            raise ConfigurationError(f"there is no batch {self._first} yet: begin at an earlier one")
        covered = {kind: await self._covered_before(conn, kind) for kind in HistoryKind}
        return ChainWalk(self._key, self._first, covered)

    async def _covered_before(self, conn: AsyncConnection, kind: HistoryKind) -> int | None:
        before = await batch_queries.batches_before(conn, kind, self._key.id, self._first)
        return next((batch.last_id for batch in before if self._key.made(batch)), None)

    async def _compare_all(self, conn: AsyncConnection, walk: ChainWalk, batches: Sequence[SignedBatch]) -> None:
        ranges: dict[HistoryKind, list[SignedRange]] = {kind: [] for kind in HistoryKind}
        for batch in batches:
            self._compare_note(batch)
            one = walk.step(batch)
            if one is not None:
                ranges[one.kind].append(one)
        self._report.batches += len(batches)
        for some in ranges.values():
            if some:
                await self._compare(conn, some)

    def _compare_note(self, batch: SignedBatch) -> None:
        noted = self._noted
        if noted is not None and batch.id == noted.batch_id:
            self._noted = None
            if not str(batch.signature).startswith(noted.batch_signature.lower()):
                text = f"batch {batch.id} has another signature than the one that was noted: the chain was rewritten"
                self._report.findings.append(ChainFinding(ChainProblem.NOT_AS_NOTED, text, batch.id, batch.id))

    async def _compare(self, conn: AsyncConnection, ranges: Sequence[SignedRange]) -> None:
        try:
            differing = await self._differing(conn, ranges)
        except DBAPIError as error:
            if not _is_unreadable_text(error):
                raise
            if len(ranges) > 1:
                for one in ranges:
                    await self._compare(conn, [one])
                return
            batch = ranges[0].batch
            text = f"batch {batch.id}: rows of {batch.kind} were altered: they have text that cannot be read"
            found = ChainFinding.of_rows(ChainProblem.ALTERED, text, batch, batch.row_count)
            self._report.findings.append(found)
            return
        for one, rows in differing:
            self._report.findings += await _differences(conn, one, rows)

    async def _differing(self, conn: AsyncConnection, ranges: Sequence[SignedRange]) -> list[tuple[SignedRange, int]]:
        """The ranges, of one kind, whose rows are not as signed, each with how many rows it has now."""
        differing = []
        rest, content = iter(ranges), self._key.content()
        one: SignedRange | None = next(rest)

        def finish(done: SignedRange) -> None:
            if not self._is_as_signed(done, content.rows, content.signature()):
                differing.append((done, content.rows))

        async for row in batch_queries.stored_rows(conn, ranges[0].kind, ranges[0].after, ranges[-1].batch.last_id):
            number = int(str(row[0]))
            while one is not None and number > one.batch.last_id:
                finish(one)
                one, content = next(rest, None), self._key.content()
            if one is not None and number > one.after:
                content.add(row)
        while one is not None:
            finish(one)
            one, content = next(rest, None), self._key.content()
        return differing

    def _is_as_signed(self, one: SignedRange, rows: int, signature: str) -> bool:
        counts = self._report.kinds[one.kind]
        if one.is_checkpoint:
            self._report.checkpoints += 1
            counts.pruned += one.batch.row_count
            return rows == 0
        if (rows, signature) != (one.batch.row_count, one.batch.content):
            return False
        counts.verified += rows
        return True

    async def _end(self, conn: AsyncConnection, walk: ChainWalk) -> None:
        walk.end(await batch_queries.head(conn))
        report = self._report
        report.findings[:0] = walk.findings
        report.head = walk.newest
        if self._noted is not None:
            text = f"batch {self._noted.batch_id}, which was noted, is not there"
            noted = (self._noted.batch_id, self._noted.batch_id)
            report.findings.append(ChainFinding(ChainProblem.NOT_AS_NOTED, text, *noted))
        for kind, counts in report.kinds.items():
            found = await batch_queries.unsigned(conn, kind, walk.signed_upto[kind])
            counts.unsigned, counts.oldest_unsigned = found


async def newest_batch_problem(conn: AsyncConnection, key: AuditKey) -> str | None:
    """What is wrong with the newest batch, its rows or the head; None if nothing is, or there is none. Quick."""
    newest = await batch_queries.newest_batch(conn)
    walk = ChainWalk(key, 1 if newest is None else newest.id, dict.fromkeys(HistoryKind, None))
    one = None if newest is None else walk.step(newest)
    walk.end(await batch_queries.head(conn))
    findings = walk.findings
    if one is not None and not one.is_checkpoint and not findings:
        content = await batch_queries.content(conn, key, one.kind, one.after, one.batch.last_id)
        if (content.rows, content.signature()) != (one.batch.row_count, one.batch.content):
            findings = await _differences(conn, one, content.rows)
    return findings[0].message if findings else None


async def _differences(conn: AsyncConnection, one: SignedRange, rows: int) -> list[ChainFinding]:
    batch = one.batch
    if one.is_checkpoint:
        text = f"batch {batch.id} was pruned, but {rows} rows of {batch.kind} are there in its place"
        return [ChainFinding.of_rows(ChainProblem.INSERTED, text, batch, rows)]
    ids = await batch_queries.ids(conn, one.kind, one.after, batch.last_id, _EXAMINED)
    added = [number for number in ids if number < batch.first_id]
    gone = _gone(batch, ids) if len(ids) < _EXAMINED else []
    findings = []
    if gone or rows < batch.row_count:
        missing = len(gone) or batch.row_count - rows
        are = "is" if missing == 1 else "are"
        text = f"batch {batch.id}: {missing} of its {batch.row_count} rows of {batch.kind} {are} gone{_listed(gone)}"
        findings.append(ChainFinding.of_rows(ChainProblem.REMOVED, text, batch, rows, gone[:_NAMED]))
    if added or rows > batch.row_count:
        more = len(added) or rows - batch.row_count
        text = f"batch {batch.id}: {more} rows of {batch.kind} were inserted after it was signed{_listed(added)}"
        findings.append(ChainFinding.of_rows(ChainProblem.INSERTED, text, batch, rows, added[:_NAMED]))
    if not findings:
        between = f"between {batch.first_id} and {batch.last_id}"
        text = f"batch {batch.id}: rows of {batch.kind} with ids {between} were altered"
        findings.append(ChainFinding.of_rows(ChainProblem.ALTERED, text, batch, rows))
    return findings


def _gone(batch: SignedBatch, ids: Iterable[int]) -> list[int]:
    """Which ids are missing, if every one between the first and the last was there: Postgres may leave some out."""
    whole = range(batch.first_id, batch.last_id + 1)
    return sorted(set(whole).difference(ids)) if len(whole) == batch.row_count else []


def _listed(ids: Sequence[int]) -> str:
    if not ids:
        return ""
    more = ", …" if len(ids) > _NAMED else ""
    return f" ({'id' if len(ids) == 1 else 'ids'} {', '.join(map(str, ids[:_NAMED]))}{more})"


def _is_unreadable_text(error: DBAPIError) -> bool:
    """SQLite stores any bytes as text, and the driver reads UTF-8 only."""
    return isinstance(error.orig, sqlite3.OperationalError) and "decode" in str(error.orig)
