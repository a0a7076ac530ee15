"""Tables of any length as CSV, row by row, for spreadsheets."""

import csv
import io
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from fastapi.responses import StreamingResponse
from starlette.responses import Content
from starlette.types import Send

from monitor.reporting.csv_cell import inert

# Without it, Excel takes the file for one in the code page of the reader's Windows. Programs read JSON.
_BYTE_ORDER_MARK = "\ufeff"
_CHUNK = 16 * 1024  # characters; a row at a time would be a write to the socket for each


class CsvResponse(StreamingResponse):
    """`rows` are read while they are sent: their database connection has to be opened within them.

    `filename` is of our own making, plain ASCII.
    """

    media_type = "text/csv; charset=utf-8; header=present"

    def __init__(self, filename: str, header: Sequence[str], rows: AsyncIterable[Sequence[object]]) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "private, no-store"}
        super().__init__(_lines(header, rows), headers=headers)

    async def stream_response(self, send: Send) -> None:
        """With the first rows read before the status is sent, an answer can still say that reading fails."""
        chunks = aiter(self.body_iterator)
        self.body_iterator = _all_of(await anext(chunks), chunks)
        await super().stream_response(send)


async def _all_of(first: Content, others: AsyncIterator[Content]) -> AsyncIterator[Content]:
    yield first
    async for chunk in others:
        yield chunk


async def _lines(header: Sequence[str], rows: AsyncIterable[Sequence[object]]) -> AsyncIterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(_BYTE_ORDER_MARK)
    writer.writerow(header)
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
