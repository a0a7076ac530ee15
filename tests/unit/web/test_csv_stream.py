"""Streams of CSV."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from monitor.web.csv_stream import CsvResponse


async def body(rows: Sequence[Sequence[object]]) -> list[str]:
    async def read() -> AsyncIterator[Sequence[object]]:
        for row in rows:
            yield row

    response = CsvResponse("history.csv", ["tenant", "at"], read())
    assert response.headers["content-disposition"] == 'attachment; filename="history.csv"'
    assert response.headers["content-type"].startswith("text/csv; charset=utf-8")
    return [str(chunk) async for chunk in response.body_iterator]


async def test_excel_reads_it_as_utf_8_and_runs_nothing() -> None:
    """A byte order mark, a header line, lines that end as RFC 4180 says, and cells that are no formulas."""
    text = "".join(await body([('Zoë, "Ltd"', datetime(2026, 11, 23, tzinfo=UTC)), ("=1+1", None)]))
    assert text.startswith("\ufefftenant,at\r\n")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert rows == [["tenant", "at"], ['Zoë, "Ltd"', "2026-11-23T00:00:00Z"], ["'=1+1", ""]]


async def test_a_long_table_is_sent_in_pieces() -> None:
    """Of bounded size, and none is lost."""
    pieces = await body([("acme", number) for number in range(10_000)])
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 20_000
    assert "".join(pieces).count("\r\n") == 10_001
    assert await body([]) == ["\ufefftenant,at\r\n"]
