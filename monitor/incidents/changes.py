"""What changed, for people: bursts as the rows of a list, pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

LABELS = 5


class ToldStatus(StrEnum):
    """Whether somebody was told: the statuses of notices, and two for what has none.

    `settling` waits for the composer; `nobody` was not to be told, or is not any more. In the order in which they need
    attention: a tenant counts once, under the first that is true of one of its events.
    """

    HELD = "held"
    FAILED = "failed"
    PENDING = "pending"
    SETTLING = "settling"
    SENT = "sent"
    DROPPED = "dropped"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class ToldCount:
    """So many tenants have this status. `recipient` and `audience` are None unless they are the same for all of them.

    `recipient` is the name of the tenant's CSM, or an address; `sent_at` is when the last of their emails went out.
    """

    status: ToldStatus
    tenants: int
    audience: str | None
    recipient: str | None
    sent_at: datetime | None


class Position(NamedTuple):
    """A place in the list of bursts, the latest first."""

    last_at: datetime
    id: int


@dataclass(frozen=True, slots=True)
class ListedBurst:
    """A burst as the table has it; see there."""

    id: int
    kind: str
    permission_id: str | None
    permission_group: str | None
    permission_label: str | None
    state: str | None
    first_at: datetime
    last_at: datetime
    seen_from: datetime | None
    first_seen: datetime | None
    seen_to: datetime | None
    events: int
    tenants: int
    examples: Sequence[str]

    @property
    def position(self) -> Position:
        return Position(self.last_at, self.id)


@dataclass(frozen=True, slots=True)
class ListedChange:
    """One row: what many tenants have in common, or all of one kind that one check found of one tenant.

    `names` are those of up to three tenants by id; `tenants` counts all of them.
    """

    bursts: Sequence[ListedBurst]
    names: dict[str, str]

    @property
    def kind(self) -> str:
        return self.bursts[0].kind

    @property
    def state(self) -> str | None:
        return self.bursts[0].state

    @property
    def tenants(self) -> int:
        return self.bursts[0].tenants

    @property
    def events(self) -> int:
        return sum(burst.events for burst in self.bursts)

    @property
    def labels(self) -> list[str]:
        """Of a few permissions, in the order of the alphabet."""
        return self._labels[:LABELS]

    @property
    def more_labels(self) -> int:
        return len(self._labels[LABELS:])

    @property
    def first_at(self) -> datetime:
        return min(burst.first_at for burst in self.bursts)

    @property
    def last_at(self) -> datetime:
        return self.bursts[0].last_at

    @property
    def seen_from(self) -> datetime | None:
        """It happened after that, as far as all of it is known."""
        known = [burst.seen_from for burst in self.bursts if burst.seen_from is not None]
        return min(known) if len(known) == len(self.bursts) else None

    @property
    def first_seen(self) -> datetime | None:
        return min((burst.first_seen for burst in self.bursts if burst.first_seen is not None), default=None)

    @property
    def seen_to(self) -> datetime | None:
        return max((burst.seen_to for burst in self.bursts if burst.seen_to is not None), default=None)

    @property
    def _labels(self) -> list[str]:
        return sorted(burst.permission_label for burst in self.bursts if burst.permission_label is not None)


@dataclass(frozen=True, slots=True)
class Page:
    """`after` is where the next page begins, None on the last one."""

    changes: Sequence[ListedChange]
    after: Position | None


def rows(bursts: Sequence[ListedBurst], limit: int, more: bool) -> tuple[list[list[ListedBurst]], Position | None]:
    """At most `limit` rows of bursts, the latest first, and where the next page begins.

    `more` says that there are bursts after these. The last row may then lack some of its own, and is left to the next
    page, unless it is the only one.
    """
    grouped: dict[object, list[ListedBurst]] = {}
    taken = 0
    for burst in (_without_last_row(bursts) if more else bursts) or bursts:
        key = _row_of(burst)
        if key not in grouped and len(grouped) == limit:
            break
        grouped.setdefault(key, []).append(burst)
        taken += 1
    return list(grouped.values()), bursts[taken - 1].position if more or taken < len(bursts) else None


def _without_last_row(bursts: Sequence[ListedBurst]) -> Sequence[ListedBurst]:
    end = len(bursts)
    while end and _row_of(bursts[end - 1]) == _row_of(bursts[-1]):
        end -= 1
    return bursts[:end]


def _row_of(burst: ListedBurst) -> object:
    """Bursts of one tenant that ended with the same check are one row."""
    return (burst.last_at, burst.kind, burst.state, burst.examples[0]) if burst.tenants == 1 else burst.id


def needing_attention(told: Sequence[ToldCount]) -> tuple[ToldCount, ...]:
    """Of a single tenant only the first counts."""
    return tuple(sorted(told, key=lambda one: list(ToldStatus).index(one.status))[:1])
