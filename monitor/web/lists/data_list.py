"""One list as data: in the API, as CSV and as JSON beside its page, with the same filter and the same rows."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.web.auth.identity import viewer
from monitor.web.conditional import conditional_json
from monitor.web.context import context
from monitor.web.csv_stream import CsvResponse
from monitor.web.errors import documented
from monitor.web.paging import DEFAULT_ITEMS, Cursor, Keyset, Limit, ListPage

_SLICE = 100  # rows of a file at a time: some 10 ms

Wanted = TypeVar("Wanted")
Row = TypeVar("Row")
Position = TypeVar("Position")
Item = TypeVar("Item", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DataList(Generic[Wanted, Row, Position, Item]):
    """`name` is its place in addresses. `wanted` is a FastAPI dependency that reads the filter from the address.

    `read` gives up to so many rows after a position; `place` says at which position a row stands. `model` reads a row's
    attributes, unless `item` makes one of it. `about` is its summary in the API's description.
    """

    name: str
    about: str
    wanted: Callable[..., Wanted]
    keyset: Keyset[Position]
    read: Callable[[AsyncConnection, Wanted, int, Position | None], Awaitable[Sequence[Row]]]
    place: Callable[[Row], Position]
    model: type[Item]
    item: Callable[[Row], Item] | None = None

    def add_to_api(self, router: APIRouter) -> None:
        async def operation(
            request: Request,
            wanted: Annotated[Any, Depends(self.wanted)],
            limit: Limit = DEFAULT_ITEMS,
            cursor: Cursor = None,
        ) -> Response:
            after = self.keyset.position(cursor)
            async with context(request).reading() as conn:
                rows = await self.read(conn, wanted, limit + 1, after)
            return conditional_json(request, self.keyset.page(rows, limit, self.place, self._item))

        router.add_api_route(
            f"/{self.name}",
            operation,
            name=f"list_{self.name.replace('-', '_')}",
            summary=self.about,
            response_model=ListPage[self.model],  # type: ignore[name-defined]  # made at run time
            responses=documented(400),
            dependencies=[Depends(viewer)],
        )

    def add_to_pages(self, router: APIRouter) -> None:
        """`.csv` has every row; `.json` is the API's first page."""

        async def as_csv(request: Request, wanted: Annotated[Any, Depends(self.wanted)]) -> Response:
            return CsvResponse(f"{self.name}.csv", list(self.model.model_fields), self._cells(request, wanted))

        async def as_json(request: Request) -> Response:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/api/v1/{self.name}{query}", 303)

        for kind, route in (("csv", as_csv), ("json", as_json)):
            router.add_api_route(f"/{self.name}.{kind}", route, dependencies=[Depends(viewer)])

    def _item(self, row: Row) -> Item:
        return self.item(row) if self.item else self.model.model_validate(row)

    async def _cells(self, request: Request, wanted: Wanted) -> AsyncGenerator[Sequence[object], None]:
        after, more = None, True
        async with context(request).downloading() as conn:
            while more:
                rows = await self.read(conn, wanted, _SLICE, after)
                for row in rows:
                    yield list(map(_cell, self._item(row).model_dump(mode="json").values()))
                more = len(rows) == _SLICE
                after = self.place(rows[-1]) if more else None
                # A client that reads as fast as we write would let nothing else run, checks neither.
                await asyncio.sleep(0)


def _cell(value: object) -> object:
    """Of what has parts itself, the parts."""
    if isinstance(value, list):
        return "; ".join(str(_cell(part)) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(part)}" for name, part in value.items() if part not in (None, "", []))
    return value
