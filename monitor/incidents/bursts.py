"""Which drift events belong together in a burst: pure.

Events of the same kind and subject form a burst as long as none is more than GAP from the next. That holds in both
directions, so events may be added at either end: new ones as they come, and old ones from the newest back.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

GAP = timedelta(minutes=20)
EXAMPLES = 3


class BurstKey(NamedTuple):
    """What the events of a burst have in common; `subject` is as in the table of bursts."""

    kind: str
    subject: str


@dataclass(frozen=True, slots=True)
class BurstEvent:
    """What grouping needs of a drift event."""

    id: int
    at: datetime
    kind: str
    tenant_id: str
    permission_id: str | None = None
    permission_group: str | None = None
    permission_label: str | None = None
    state: str | None = None
    seen_before: datetime | None = None
    first_seen: datetime | None = None

    @property
    def key(self) -> BurstKey:
        return BurstKey(self.kind, self.permission_id or self.state or "")


@dataclass(slots=True)
class OpenBurst:
    """A burst that takes events. `id` is None until it is stored; `added` are the events it took since it was read.

    `tenants` and `examples` do not include those of `added` until `count_tenants`.
    """

    id: int | None
    kind: str
    subject: str
    permission_id: str | None
    permission_group: str | None
    permission_label: str | None
    state: str | None
    first_at: datetime
    last_at: datetime
    seen_from: datetime | None
    first_seen: datetime | None
    seen_to: datetime | None
    events: int = 0
    tenants: int = 0
    examples: list[str] = field(default_factory=list)
    added: list[BurstEvent] = field(default_factory=list)

    @property
    def key(self) -> BurstKey:
        return BurstKey(self.kind, self.subject)

    def distance(self, moment: datetime) -> timedelta:
        return max(self.first_at - moment, moment - self.last_at, timedelta())

    def add(self, event: BurstEvent) -> None:
        self.first_at, self.last_at = min(self.first_at, event.at), max(self.last_at, event.at)
        # "After" holds for all of them, or is not said.
        known = self.seen_from is not None and event.seen_before is not None
        self.seen_from = _earliest(self.seen_from, event.seen_before) if known else None
        self.first_seen = _earliest(self.first_seen, event.first_seen)
        self.seen_to = max(filter(None, (self.seen_to, event.first_seen)), default=None)
        self.events += 1
        self.added.append(event)

    def count_tenants(self, already: Collection[str]) -> None:
        """Count the tenants of `added`, once; `already` are those among them that the stored burst has counted."""
        new = list(dict.fromkeys(event.tenant_id for event in self.added if event.tenant_id not in already))
        self.tenants += len(new)
        self.examples = [*self.examples, *new][:EXAMPLES]


def group(events: Iterable[BurstEvent], stored: Iterable[OpenBurst]) -> list[OpenBurst]:
    """Add each event to a burst, or begin one with it; returns the bursts that took any, in the order of the events.

    `stored` are the bursts that one of the events may join. The events come in order, away from what was grouped
    before. One that is late and near to two bursts joins the nearer: a burst keeps its address, so none is merged.
    """
    by_key: dict[BurstKey, list[OpenBurst]] = {}
    for burst in stored:
        by_key.setdefault(burst.key, []).append(burst)
    touched: dict[int, OpenBurst] = {}
    for event in events:
        of_key = by_key.setdefault(event.key, [])
        burst = _nearest(of_key, event.at) or _begun_by(event)
        if not burst.events:
            of_key.append(burst)
        burst.add(event)
        touched[id(burst)] = burst
    return list(touched.values())


def _nearest(bursts: Iterable[OpenBurst], moment: datetime) -> OpenBurst | None:
    reaching = [burst for burst in bursts if burst.distance(moment) <= GAP]
    return min(reaching, key=lambda burst: (burst.distance(moment), burst.first_at), default=None)


def _begun_by(event: BurstEvent) -> OpenBurst:
    return OpenBurst(
        id=None,
        kind=event.kind,
        subject=event.key.subject,
        permission_id=event.permission_id,
        permission_group=event.permission_group,
        permission_label=event.permission_label,
        state=event.state,
        first_at=event.at,
        last_at=event.at,
        seen_from=event.seen_before,
        first_seen=event.first_seen,
        seen_to=event.first_seen,
    )


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)
