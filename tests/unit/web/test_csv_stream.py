"""Streams of CSV."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from itertools import count

from starlette.types import Message

from monitor.web.csv_stream import CsvResponse


async def body(rows: Sequence[Sequence[object]]) -> list[str]:
    async def read() -> AsyncGenerator[Sequence[object], None]:
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


async def test_a_client_that_takes_nothing_does_not_keep_the_database() -> None:
    """The rows are closed, and with them their transaction; the answer never ends as if it were whole."""
    ended, sent = [], list[Message]()

    async def read() -> AsyncGenerator[Sequence[object], None]:
        try:
            for number in count():
                yield ("acme", number)
        finally:
            ended.append(True)

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            await asyncio.Event().wait()

    response = CsvResponse("history.csv", ["tenant", "at"], read())
    response.patience = 0.01
    await response.stream_response(send)
    assert ended
    assert [message.get("more_body") for message in sent] == [None, True, True]
