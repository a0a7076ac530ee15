"""Grouping drift events into bursts, for drawn events in drawn batches."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.bursts import EXAMPLES, GAP, BurstEvent, OpenBurst, group
from tests.reports import MINUTE, T0

MOMENTS = st.integers(0, 300).map(lambda minutes: T0 + minutes * MINUTE)
EVENTS = st.builds(
    BurstEvent,
    id=st.just(0),
    at=MOMENTS,
    kind=st.sampled_from(["lost", "regained"]),
    tenant_id=st.sampled_from(["acme", "globex", "initech", "umbrella", "vantor"]),
    permission_id=st.sampled_from(["jobs", "offers"]),
    seen_before=st.none() | MOMENTS,
    first_seen=MOMENTS,
)
CUTS = st.lists(st.integers(1, 7), min_size=30, max_size=30)


def numbered(events: Iterable[BurstEvent]) -> list[BurstEvent]:
    return [replace(event, id=number) for number, event in enumerate(events, 1)]


class Store:
    """Keeps bursts between batches, as the database does."""

    def __init__(self) -> None:
        self.bursts: list[OpenBurst] = []
        self.members: dict[int, list[BurstEvent]] = {}

    def take(self, events: Sequence[BurstEvent]) -> None:
        for burst in group(events, [replace(burst, added=[]) for burst in self.bursts]):
            burst.id = burst.id or len(self.members) + 1
            already = self.members.setdefault(burst.id, [])
            burst.count_tenants({event.tenant_id for event in already})
            already.extend(burst.added)
            self.bursts = [*(one for one in self.bursts if one.id != burst.id), burst]

    def take_in_batches(self, events: Sequence[BurstEvent], sizes: Iterable[int]) -> None:
        start = 0
        for size in sizes:
            self.take(events[start : start + size])
            start += size
        self.take(events[start:])

    @property
    def parts(self) -> set[frozenset[int]]:
        return {frozenset(event.id for event in members) for members in self.members.values()}


@given(st.lists(EVENTS, max_size=60), CUTS)
def test_every_event_is_in_one_burst_that_counts_it(drawn: list[BurstEvent], sizes: list[int]) -> None:
    """In whatever order events come and however they are cut into batches, all numbers of a burst are its events'."""
    events = numbered(drawn)
    store = Store()
    store.take_in_batches(events, sizes)
    assert sorted(event.id for members in store.members.values() for event in members) == [e.id for e in events]
    for burst in store.bursts:
        members = store.members[burst.id or 0]
        tenants = {event.tenant_id for event in members}
        before = [event.seen_before for event in members if event.seen_before is not None]
        assert {event.key for event in members} == {burst.key}
        assert (burst.events, burst.tenants) == (len(members), len(tenants))
        assert len(set(burst.examples)) == len(burst.examples) == min(len(tenants), EXAMPLES)
        assert tenants.issuperset(burst.examples)
        assert burst.first_at == min(event.at for event in members)
        assert burst.last_at == max(event.at for event in members)
        assert burst.seen_from == (min(before) if len(before) == len(members) else None)
        assert burst.first_seen == min(event.first_seen for event in members if event.first_seen)
        assert burst.seen_to == max(event.first_seen for event in members if event.first_seen)


@given(st.lists(EVENTS, max_size=60), CUTS, CUTS)
def test_batches_make_no_difference(drawn: list[BurstEvent], one: list[int], other: list[int]) -> None:
    """The same events become the same bursts, wherever they are cut, even if their clock jumped."""
    first, second = Store(), Store()
    first.take_in_batches(numbered(drawn), one)
    second.take_in_batches(numbered(drawn), other)
    assert first.parts == second.parts


@given(st.lists(EVENTS, max_size=60), st.integers(0, 60), CUTS, CUTS)
def test_a_burst_ends_where_nothing_follows_within_the_gap(
    drawn: list[BurstEvent], upgrade: int, new: list[int], old: list[int]
) -> None:
    """That alone decides, also where the events before an upgrade are grouped after those since, and backwards."""
    events = numbered(sorted(drawn, key=lambda event: event.at))
    store = Store()
    store.take_in_batches(events[upgrade:], new)
    store.take_in_batches(events[:upgrade][::-1], old)
    parts: set[frozenset[int]] = set()
    for key in {event.key for event in events}:
        of_key = [event for event in events if event.key == key]
        ends = [n for n, (a, b) in enumerate(pairwise(of_key), 1) if b.at - a.at > GAP]
        cuts = pairwise([0, *ends, len(of_key)])
        parts.update(frozenset(event.id for event in of_key[start:end]) for start, end in cuts)
    assert store.parts == parts


def test_what_happened_is_not_said_to_be_after_what_is_unknown() -> None:
    """ "Lost after 10:02" stands only where every event says so."""
    known = BurstEvent(1, T0, "lost", "acme", "jobs", seen_before=T0 - MINUTE, first_seen=T0)
    unknown = BurstEvent(2, T0, "lost", "globex", "jobs", first_seen=T0 + MINUTE)
    (burst,) = group([known], [])
    assert burst.seen_from == T0 - MINUTE
    (burst,) = group([unknown, replace(known, id=3)], [burst])
    assert (burst.seen_from, burst.first_seen, burst.seen_to) == (None, T0, T0 + MINUTE)


def test_a_late_event_merges_no_bursts() -> None:
    """Each keeps its address: the event joins the nearer."""
    at = [T0, T0 + 2 * GAP, T0 + GAP - timedelta(seconds=1)]
    events = [BurstEvent(n, moment, "lost", "acme", "jobs") for n, moment in enumerate(at)]
    bursts = group(events, [])
    assert [[event.id for event in burst.added] for burst in bursts] == [[0, 2], [1]]
