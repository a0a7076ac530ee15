"""Changes as the rows of a list: what they say, where they lead, and who was told."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.incidents import change_queries, told_queries
from monitor.incidents.change_queries import WantedChanges
from monitor.incidents.changes import ListedChange, Position, ToldCount
from monitor.reporting.change_sentence import MANY, change_mark, change_path, change_sentence
from monitor.reporting.sentence import Sentence


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """`told` is None where only the burst's own page counts who was told."""

    change: ListedChange
    told: tuple[ToldCount, ...] | None

    @property
    def said(self) -> Sentence:
        return change_sentence(self.change)

    @property
    def mark(self) -> str:
        return change_mark(self.change)

    @property
    def path(self) -> str:
        return change_path(self.change)

    @property
    def is_wave(self) -> bool:
        return self.change.tenants >= MANY


@dataclass(frozen=True, slots=True)
class ChangeRows:
    rows: Sequence[ChangeRow]
    after: Position | None


async def change_rows(
    conn: AsyncConnection, wanted: WantedChanges, limit: int, after: Position | None = None
) -> ChangeRows:
    found = await change_queries.changes(conn, wanted, limit, after)
    told = await told_queries.told_of_changes(conn, found.changes)
    rows = [ChangeRow(change, who) for change, who in zip(found.changes, told, strict=True)]
    return ChangeRows(rows, found.after)
