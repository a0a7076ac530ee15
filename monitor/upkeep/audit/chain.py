"""What is signed, and how: pure. A change of these forms makes every older batch look altered."""

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

BEGINNING = ""
"""The `previous` of a batch that no batch is known to precede."""

BEFORE_ALL = -(2**63) - 1
"""Below every id, even one that SQLite takes and the service never gives."""


class HistoryKind(StrEnum):
    """The tables whose rows are signed."""

    EVENTS = "drift_event"
    ACTIONS = "operator_action"


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A row of `audit_batch` as it is stored, which may be anything if somebody changed it."""

    id: int
    kind: str
    first_id: int
    last_id: int
    row_count: int
    content: str
    previous: str
    signature: str
    key_id: str
    created_at: datetime
    pruned_at: datetime | None = None
    pruned_signature: str | None = None


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest batch, by its number and its signature."""

    batch_id: int
    batch_signature: str


class Content:
    """A signature of rows in order, each once or, joined with what belongs to it, several times in a row."""

    def __init__(self, key: bytes) -> None:
        self._mac = hmac.new(key, b"rows", hashlib.sha256)
        self._last: object = None
        self.rows = 0

    def add(self, row: Iterable[object]) -> None:
        """The first value is the row's id."""
        values = tuple(row)
        if values[0] != self._last or not self.rows:
            self.rows += 1
            self._last = values[0]
        self._mac.update(_canonical(values))

    def signature(self) -> str:
        return self._mac.hexdigest()


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key for the chain alone; `id` tells keys apart, and says nothing about them."""

    secret: bytes = field(repr=False)
    id: str

    @classmethod
    def derived(cls, installation_key: bytes) -> "AuditKey":
        secret = hmac.new(installation_key, b"audit chain 1", hashlib.sha256).digest()
        return cls(secret, hmac.new(secret, b"key id", hashlib.sha256).hexdigest()[:16])

    def content(self) -> Content:
        return Content(self.secret)

    def signed(self, batch: SignedBatch) -> SignedBatch:
        """The batch with this key's id and signature."""
        unsigned = replace(batch, key_id=self.id)
        return replace(unsigned, signature=self._of_batch(unsigned))

    def pruned(self, batch: SignedBatch, now: datetime) -> SignedBatch:
        """The batch as a checkpoint: its rows were deleted now."""
        marked = replace(batch, pruned_at=now)
        return replace(marked, pruned_signature=self._of_pruning(marked))

    def made(self, batch: SignedBatch) -> bool:
        """Whether this key signed the batch as it is."""
        return _same(batch.signature, self._of_batch(batch))

    def made_checkpoint(self, batch: SignedBatch) -> bool:
        return _same(batch.pruned_signature, self._of_pruning(batch))

    def of_head(self, head: ChainHead) -> str:
        return self._sign("head", head.batch_id, head.batch_signature, self.id)

    def made_head(self, head: ChainHead, signature: object) -> bool:
        return _same(signature, self.of_head(head))

    def _of_batch(self, b: SignedBatch) -> str:
        extent = (b.id, b.kind, b.first_id, b.last_id, b.row_count)
        return self._sign("batch", *extent, b.content, b.previous, b.key_id, b.created_at)

    def _of_pruning(self, b: SignedBatch) -> str:
        return self._sign("pruned", b.id, b.signature, b.row_count, b.pruned_at)

    def _sign(self, what: str, *values: object) -> str:
        return hmac.new(self.secret, _canonical((what, *values)), hashlib.sha256).hexdigest()


def as_utc(value: object) -> object:
    """A moment as it is stored, which SQLite keeps as text; anything else stays, and looks altered."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _canonical(values: tuple[object, ...]) -> bytes:
    """One line of JSON; both databases give the same."""
    return json.dumps(values, separators=(",", ":"), default=_plain).encode() + b"\n"


def _plain(value: object) -> str:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else repr(value)


def _same(stored: object, computed: str) -> bool:
    # As bytes: compare_digest refuses text outside ASCII, which somebody may have stored.
    return hmac.compare_digest(str(stored).encode("utf-8", "replace"), computed.encode())
