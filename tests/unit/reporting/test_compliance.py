"""Compliance: every moment of a tenant is in one status, and every loss comes to one end."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import EventKind
from monitor.incidents.status import TenantStatus
from monitor.reporting.compliance import (
    BEGINNINGS,
    ENDS,
    NO_LOSS,
    Covered,
    Ending,
    LossEvent,
    Spread,
    TenantCompliance,
    Times,
    figures,
    losses_in,
    report_of,
    times_in,
)
from monitor.reporting.report_period import TimeSpan, month
from monitor.reporting.tenant_page import DeclinedPermission

T0 = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 40  # of the spans drawn

hours = st.integers(0, HOURS)
changes = st.lists(st.tuples(hours, st.sampled_from(TenantStatus)), max_size=8).map(
    lambda drawn: [(at(hour), status) for hour, status in sorted(drawn, key=lambda one: one[0])]
)
spans = st.tuples(hours, hours, hours).map(sorted).map(lambda found: tuple(at(hour) for hour in found))


def at(hour: float) -> datetime:
    return T0 + hour * HOUR


@st.composite
def events(draw: st.DrawFn) -> list[LossEvent]:
    """Of two credentials with two permissions each, and their own failures; some are closed at some time."""
    drawn = draw(st.lists(st.tuples(hours, st.sampled_from((*BEGINNINGS, *ENDS)), st.integers(1, 2)), max_size=14))
    return [
        an_event(
            hour,
            kind,
            credential,
            permission=draw(st.sampled_from(["jobs", "offers", None])),
            closed=draw(st.none() | st.integers(hour, HOURS)),
        )
        for hour, kind, credential in sorted(drawn, key=lambda one: one[0])
    ]


def an_event(
    hour: float,
    kind: EventKind,
    credential: int = 1,
    *,
    permission: str | None = "jobs",
    closed: float | None = None,
    seen_before: float | None = None,
) -> LossEvent:
    return LossEvent(
        tenant_id="acme",
        at=at(hour),
        kind=kind,
        credential_id=credential,
        permission_id=permission,
        seen_before=None if seen_before is None else at(seen_before),
        first_seen=at(hour),
        permission_group="Jobs",
        permission_label=permission and f"GET: {permission}",
        credential_label="Key",
        state=None,
        resolved_at=None if closed is None else at(closed),
        removed_at=None,
    )


def known_at(moment: datetime, of: list[LossEvent]) -> list[LossEvent]:
    return [event for event in of if event.at < moment]


declinations = st.dictionaries(
    st.sampled_from(["jobs", "GET: offers"]),
    st.builds(DeclinedPermission, st.just("ticket 1"), st.none() | st.just(date(2026, 11, 2)), st.just("dana")),
)


@given(changes, spans)
def test_every_hour_is_in_the_status_that_held_then(drawn: list[tuple[datetime, TenantStatus]], at_: tuple) -> None:
    """What adds up over statuses is the time that the tenant was there; before its first change it was not."""
    begin, _, end = at_
    held = []
    for hour in range(int((begin - T0) / HOUR), int((end - T0) / HOUR)):
        before = [status for moment, status in drawn if moment <= at(hour)]
        held += before[-1:]
    times = times_in(TimeSpan(begin, end), drawn)
    for status in TenantStatus:
        if status is not TenantStatus.REMOVED:
            assert getattr(times, status) == held.count(status) * HOUR, status
    assert times.there == sum(status is not TenantStatus.REMOVED for status in held) * HOUR


@given(changes, spans)
def test_shares_are_between_0_and_1(drawn: list[tuple[datetime, TenantStatus]], at_: tuple) -> None:
    """None only where no time counts."""
    times = times_in(TimeSpan(at_[0], at_[2]), drawn)
    assert (times.share is None) == (not times.counted)
    assert 0 <= (times.share or 0) <= 1


@given(changes, spans)
def test_times_of_two_parts_add_up(drawn: list[tuple[datetime, TenantStatus]], at_: tuple) -> None:
    """A quarter is its months."""
    begin, middle, end = at_
    parts = [times_in(TimeSpan(*part), drawn) for part in pairwise((begin, middle, end))]
    assert Times.together(parts) == times_in(TimeSpan(begin, end), drawn)


@given(events(), spans, declinations)
def test_losses_of_two_parts_add_up(
    drawn: list[LossEvent], at_: tuple, declined: dict[str, DeclinedPermission]
) -> None:
    """What the first part leaves open, the second begins with."""
    begin, middle, end = at_
    if begin == middle or middle == end:
        return
    first, second, whole = (
        figures(span, losses_in(span, known_at(span.end, drawn), declined))
        for span in (TimeSpan(begin, middle), TimeSpan(middle, end), TimeSpan(begin, end))
    )
    assert second.before == first.still_open.number
    assert (first.before, second.still_open) == (whole.before, whole.still_open)
    for name in ("permissions", "credentials", "found", "ended_otherwise", "detected", "restored"):
        assert getattr(first, name) + getattr(second, name) == getattr(whole, name), name


@given(events(), spans, declinations)
def test_every_loss_comes_to_one_end(
    drawn: list[LossEvent], at_: tuple, declined: dict[str, DeclinedPermission]
) -> None:
    """As many begin as end or stay open, and none ends before it began or after the span."""
    span = TimeSpan(at_[0], at_[2])
    losses = losses_in(span, known_at(span.end, drawn), declined)
    counted = figures(span, losses)
    assert counted.before + counted.begun == (
        counted.restored.number + counted.ended_otherwise + counted.still_open.number
    )
    for loss in losses:
        assert loss.begun.at <= (loss.ended_at or span.end) <= span.end
        assert (loss.ended_at is None) == (loss.ending is Ending.OPEN)


@given(st.lists(changes, max_size=5), spans)
def test_the_share_of_all_is_weighted_by_time(of_tenants: list, at_: tuple) -> None:
    """A tenant that was there for an hour weighs an hour; the least share stands first."""
    span = TimeSpan(at_[0], at_[2])
    tenants = [
        TenantCompliance(str(number), "", times_in(span, drawn), NO_LOSS, {}) for number, drawn in enumerate(of_tenants)
    ]
    report = report_of(Covered(month(2026, 11), span, T0, at(HOURS)), tenants)
    weights = [tenant.times.counted for tenant in report.tenants if tenant.times.share is not None]
    shares = [tenant.times.share for tenant in report.tenants if tenant.times.share is not None]
    if weights:
        weighted = sum(share * (weight / HOUR) for share, weight in zip(shares, weights, strict=True))
        assert report.times.share == pytest.approx(weighted / (sum(weights, timedelta()) / HOUR))
    assert shares == sorted(shares)
    assert report.counting == len(shares)
    assert all(tenant.times.there for tenant in report.tenants)


MONTH = month(2026, 11).whole
LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
NO_DAY, SECOND = DeclinedPermission("t", None, ""), DeclinedPermission("t", date(2026, 11, 2), "")
CASES: dict[str, tuple[list[LossEvent], dict[str, DeclinedPermission], list[tuple[Ending, float | None]]]] = {
    "restored": ([an_event(1, LOST), an_event(5, REGAINED)], {}, [(Ending.RESTORED, 5)]),
    "open": ([an_event(1, LOST)], {}, [(Ending.OPEN, None)]),
    "lost before the span and restored in it": (
        [an_event(-9, LOST), an_event(5, REGAINED)],
        {},
        [(Ending.RESTORED, 5)],
    ),
    "over before the span": ([an_event(-9, LOST), an_event(-5, REGAINED)], {}, []),
    "two permissions are two losses": (
        [an_event(1, LOST), an_event(1, LOST, permission="offers"), an_event(5, REGAINED)],
        {},
        [(Ending.RESTORED, 5), (Ending.OPEN, None)],
    ),
    "a credential that fails in another way is lost once": (
        [an_event(hour, kind, permission=None) for hour, kind in ((1, FAILED), (2, FAILED), (5, RECOVERED))],
        {},
        [(Ending.RESTORED, 5)],
    ),
    "the incident was resolved without a repair": ([an_event(1, LOST, closed=7)], {}, [(Ending.CLOSED, 7)]),
    "lost again after that": (
        [an_event(1, LOST, closed=7), an_event(9, LOST)],
        {},
        [(Ending.CLOSED, 7), (Ending.OPEN, None)],
    ),
    "restored in the moment in which the incident was resolved": (
        [an_event(1, LOST, closed=7), an_event(7, REGAINED)],
        {},
        [(Ending.RESTORED, 7)],
    ),
    "declined by label from a day on": ([an_event(1, LOST)], {"GET: jobs": SECOND}, [(Ending.DECLINED, 24)]),
    "declined without a day": ([an_event(1, LOST)], {"jobs": NO_DAY}, [(Ending.DECLINED, 1)]),
    "restored before it was declined": (
        [an_event(1, LOST), an_event(5, REGAINED)],
        {"jobs": SECOND},
        [(Ending.RESTORED, 5)],
    ),
    "another one is declined": ([an_event(1, LOST)], {"offers": NO_DAY}, [(Ending.OPEN, None)]),
}


def test_how_losses_end(subtests: pytest.Subtests) -> None:
    """Each kind of end, and what is no end."""
    for name, (drawn, declined, ends) in CASES.items():
        with subtests.test(name):
            losses = losses_in(MONTH, drawn, declined)
            wanted = [(ending, None if hour is None else at(hour)) for ending, hour in ends]
            assert [(loss.ending, loss.ended_at) for loss in losses] == wanted


def test_time_to_detect_runs_from_the_last_check_that_saw_it() -> None:
    """It is known of what was lost, and not of what lacked at first sight."""
    found = an_event(3, EventKind.FOUND, permission="offers", seen_before=0)
    counted = figures(MONTH, losses_in(MONTH, [an_event(5, LOST, seen_before=1), found], {}))
    assert counted.detected == Spread(1, 4 * HOUR, 4 * HOUR)
    assert (counted.permissions, counted.found, counted.still_open.number) == (1, 1, 2)
