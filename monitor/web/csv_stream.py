"""Tables of any length as CSV, row by row, for spreadsheets."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog
from fastapi.responses import StreamingResponse
from starlette.responses import Content
from starlette.types import Message, Send

from monitor.reporting.csv_cell import inert

log = structlog.get_logger()

# Without it, Excel takes the file for one in the code page of the reader's Windows. Programs read JSON.
_BYTE_ORDER_MARK = "\ufeff"
_CHUNK = 16 * 1024  # characters; a row at a time would be a write to the socket for each


class CsvResponse(StreamingResponse):
    """`rows` are read while they are sent: their database connection has to be opened within them.

    `filename` is of our own making, plain ASCII. A client that takes nothing for `patience` seconds is given up: until
    the end SQLite keeps what was written since the beginning in its log, which grows meanwhile.
    """

    media_type = "text/csv; charset=utf-8; header=present"
    patience = 60.0

    def __init__(self, filename: str, header: Sequence[str], rows: AsyncGenerator[Sequence[object], None]) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "private, no-store"}
        self._filename = filename
        self._lines = _lines(header, rows)
        super().__init__(self._lines, headers=headers)

    async def stream_response(self, send: Send) -> None:
        """With the first rows read before the status is sent, an answer can still say that reading fails."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self.patience):
                await send(message)

        async with aclosing(self._lines):
            self.body_iterator = _all_of(await anext(self._lines), self._lines)
            try:
                await super().stream_response(send_in_time)
            except TimeoutError:  # the connection is closed before the end, so nobody takes it for the whole
                log.warning("download_given_up", filename=self._filename, seconds=self.patience)


async def _all_of(first: Content, others: AsyncGenerator[str, None]) -> AsyncGenerator[Content, None]:
    yield first
    async for chunk in others:
        yield chunk


async def _lines(header: Sequence[str], rows: AsyncGenerator[Sequence[object], None]) -> AsyncGenerator[str, None]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(_BYTE_ORDER_MARK)
    writer.writerow(header)
    async with aclosing(rows):
        async for row in rows:
            writer.writerow(map(inert, row))
            if buffer.tell() >= _CHUNK:
                yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
