"""What `history verify` reports: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from monitor.upkeep.audit.chain import ChainHead, HistoryKind, SignedBatch


class ChainProblem(StrEnum):
    """What is wrong: with rows, with batches, with the chain."""

    ALTERED = "altered"
    REMOVED = "removed"
    INSERTED = "inserted"
    BATCH_ALTERED = "batch_altered"
    BATCHES_REMOVED = "batches_removed"
    LINK_BROKEN = "link_broken"
    BEGUN_ANEW = "begun_anew"
    CHECKPOINT_ALTERED = "checkpoint_altered"
    OTHER_KEY = "other_key"
    HEAD_ALTERED = "head_altered"
    HEAD_MISSING = "head_missing"
    NOT_AS_NOTED = "not_as_noted"


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """`signed` and `found` count rows; `ids` are those removed or inserted, where that can be told, and not too many.

    `first_id` and `last_id` are the rows concerned, one of `ids` or unknown; `batch` to `last_batch` the batches.
    """

    problem: ChainProblem
    message: str
    batch: int | None = None
    last_batch: int | None = None
    table: str | None = None
    first_id: int | None = None
    last_id: int | None = None
    signed: int | None = None
    found: int | None = None
    ids: Sequence[int] = ()

    @classmethod
    def of_rows(
        cls, problem: ChainProblem, message: str, batch: SignedBatch, found: int, ids: Sequence[int] = ()
    ) -> "ChainFinding":
        extent = (min(ids), max(ids)) if ids else (batch.first_id, batch.last_id)
        return cls(problem, message, batch.id, batch.id, batch.kind, *extent, batch.row_count, found, ids)


@dataclass(slots=True)
class KindReport:
    """Of one table: rows that match their signatures, rows that were pruned, rows that are not signed yet."""

    verified: int = 0
    pruned: int = 0
    unsigned: int = 0
    oldest_unsigned: datetime | None = None


@dataclass(slots=True)
class ChainReport:
    """`head` is the newest batch there is, to be noted elsewhere."""

    key_id: str
    batches: int = 0
    checkpoints: int = 0
    head: ChainHead | None = None
    kinds: dict[HistoryKind, KindReport] = field(default_factory=lambda: {kind: KindReport() for kind in HistoryKind})
    findings: list[ChainFinding] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        return not self.findings
