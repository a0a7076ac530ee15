"""When chance does not explain that tenants change alike."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from monitor.drift import EventKind
from monitor.notices.causes import PendingCause
from monitor.notices.compose.brake import (
    ANY_LOST,
    ANY_REGAINED,
    Brake,
    Recent,
    Reported,
    SampleState,
    TenantChange,
    exceeds_chance,
    judge,
)
from tests.notices import NOW, SETTLE, a_cause, a_policy

LOST = EventKind.LOST
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POLICY = a_policy()


def judged(*causes: PendingCause, recent: Recent | None = None, now: datetime = NOW) -> Brake:
    return judge(causes, recent or Recent(), POLICY, now)


@pytest.mark.parametrize(
    ("rate", "held_from"),
    [
        (POLICY.background_alike, {10: 3, 21: 3, 60: 3, 100: 3, 500: 5, 1_000: 6, 10_000: 16}),
        (POLICY.background_any, {10: 3, 21: 4, 60: 5, 100: 6, 500: 11, 1_000: 16, 10_000: 79}),
    ],
)
def test_how_many_are_more_than_chance_explains(rate: float, held_from: dict[int, int]) -> None:
    """For one permission or state, and for any permission, by the tenants checked since the first."""
    for checked, expected in held_from.items():
        assert next(k for k in range(1, checked) if exceeds_chance(k, checked, rate)) == expected, checked


def test_an_earlier_chance_loss_does_not_hide_a_wave() -> None:
    """A loss three hours earlier, and 900 checks since: the three of the last minutes are judged by themselves."""
    old = TenantChange("lost:x", "old", NOW - 3 * HOUR)
    checked = [NOW - 3 * HOUR + n * 12 * timedelta(seconds=1) for n in range(900)]
    wave = [a_cause(LOST, "x", f"t{n}", created_at=NOW - n * MINUTE) for n in range(3)]
    brake = judged(*wave, recent=Recent((old,), checked))
    assert brake.waves["lost:x"].tenants == {"t0", "t1", "t2"}
    assert brake.holds(wave)


def test_those_who_were_notified_count() -> None:
    """A wave is what changed, whether its emails left or not."""
    told = tuple(TenantChange("lost:x", f"told{n}", NOW - HOUR) for n in range(2))
    third = a_cause(LOST, "x", "third")
    assert judged(third, recent=Recent(told, [NOW] * 50)).holds([third])
    assert not judged(third, recent=Recent(told[:1], [NOW] * 50)).holds([third])


def test_the_operator_reads_how_many_were_notified_before_the_hold() -> None:
    """Of this wave: not of another change, nor of another time."""
    told = tuple(TenantChange("lost:x", f"told{n}", NOW - HOUR, is_told=n < 2) for n in range(3))
    other = TenantChange("lost:y", "third", NOW - HOUR, is_told=True)
    third = a_cause(LOST, "x", "third")
    burst = judged(third, recent=Recent((*told, other), [NOW] * 50)).new_bursts([third])["lost:x"]
    assert (burst.tenants, burst.told) == (4, 2)


def test_one_tenant_that_loses_much_is_one() -> None:
    """Forty permissions of one tenant are no wave."""
    causes = [a_cause(LOST, f"p{n}") for n in range(40)]
    assert not judged(*causes, recent=Recent((), [NOW] * 100)).holds(causes)


def test_a_different_permission_each_is_a_wave() -> None:
    """Any permission lost is a key of its own; a credential that fails is not part of it."""
    causes = [a_cause(LOST, f"p{n}", f"t{n}") for n in range(6)]
    failed = a_cause(EventKind.CREDENTIAL_FAILED, None, "other")
    brake = judged(*causes, failed, recent=Recent((), [NOW] * 100))
    assert set(brake.waves) == {ANY_LOST}
    assert all(brake.holds([cause]) for cause in causes)
    assert not brake.holds([failed])


def test_a_different_permission_back_for_each_is_a_wave() -> None:
    """Somebody who names every permission for everybody brings back what is not back."""
    causes = [a_cause(EventKind.REGAINED, f"p{n}", f"t{n}", notified_in=n) for n in range(6)]
    brake = judged(*causes, recent=Recent((), [NOW] * 100))
    assert set(brake.waves) == {ANY_REGAINED}
    (burst,) = brake.new_bursts(causes).values()
    assert (burst.what, burst.tenants) == ("got back a permission, not all the same", 6)


@pytest.mark.parametrize("state", ["invalid", "blocked", "retired"])
def test_one_state_of_many_credentials_is_a_wave_of_its_own(state: str) -> None:
    """Three that became the same are held; one that became something else, or lost a permission, is not."""
    causes = [a_cause(EventKind.CREDENTIAL_FAILED, None, f"t{n}", state=state) for n in range(3)]
    other = a_cause(EventKind.CREDENTIAL_FAILED, None, "other", state="unreachable")
    lost = a_cause(LOST, "x", "third")
    brake = judged(*causes, other, lost, recent=Recent((), [NOW] * 100))
    assert set(brake.waves) == {f"credential_failed:{state}"}
    assert [brake.holds([cause]) for cause in (*causes, other, lost)] == [True] * 3 + [False] * 2


def test_checks_before_the_first_change_do_not_count() -> None:
    """Most of an interval's checks were made before the trouble began, and say nothing about it."""
    causes = [a_cause(LOST, "x", f"t{n}", created_at=NOW - n * MINUTE) for n in range(3)]
    before = [NOW - 3 * HOUR + n * timedelta(seconds=1) for n in range(5_000)]
    assert judged(*causes, recent=Recent((), [*before, *([NOW] * 60)])).holds(causes)
    assert not judged(*causes, recent=Recent((), [NOW] * 5_000)).holds(causes)


def test_fewer_checked_than_changed_is_no_reason_to_pass() -> None:
    """Checks of a moment ago may not be visible yet."""
    causes = [a_cause(LOST, "x", f"t{n}") for n in range(3)]
    assert judged(*causes).holds(causes)


def test_a_kind_stays_braked_while_it_is_held() -> None:
    """Hours after the wave, more of the same is held until an operator acts; two held by chance hold nobody else."""
    held = [a_cause(LOST, "x", f"t{n}", held_in=n, created_at=NOW - 9 * HOUR) for n in range(3)]
    late = a_cause(LOST, "x", "late")
    assert judged(*held, late, recent=Recent((), [NOW] * 100)).holds([late])
    assert not judged(*held[:2], late, recent=Recent((), [NOW] * 100)).holds([late])


def test_what_waits_for_longer_than_the_interval_counts() -> None:
    """An interval shorter than the settle time: causes are older than it when their emails are written."""
    causes = [a_cause(LOST, "x", f"t{n}", created_at=NOW - 5 * HOUR) for n in range(3)]
    assert judged(*causes).holds(causes)


def test_the_notice_says_how_many_of_how_many_since_when_and_what_the_sample_found() -> None:
    """Facts of the wave, and of the sample that concerns it."""
    causes = [a_cause(LOST, "x", f"t{n}", created_at=NOW - n * MINUTE) for n in range(12)]
    sample = SampleState(
        frozenset({"lost:x"}), frozenset({"t0", "t1", "u", "v"}), NOW - 10 * MINUTE, frozenset({"t0", "t1", "u"})
    )
    other = SampleState(frozenset({"lost:y"}), frozenset({"w"}), NOW, frozenset({"w"}))
    brake = judged(*causes, recent=Recent((), [NOW] * 480, (sample, other)))
    bursts = brake.new_bursts(causes)
    assert set(bursts) == {"lost:x"}  # the losses of any permission are these
    burst = bursts["lost:x"]
    assert (burst.tenants, burst.checked, burst.share, burst.since) == (12, 480, "2.5 %", "23 Nov 2026, 13:54 UTC")
    assert burst.sample is not None
    assert (burst.sample.checked, burst.sample.alike) == (3, 2)


@pytest.mark.parametrize(
    ("tenants", "ago", "due"),
    [(11, HOUR, False), (12, HOUR, True), (12, SETTLE - MINUTE, False)],
)
def test_the_operator_is_notified_again_when_the_number_has_doubled(tenants: int, ago: timedelta, due: bool) -> None:
    """Not for each tenant, and not within the settle time of the last email."""
    held = [a_cause(LOST, "x", f"t{n}", held_in=n, created_at=NOW - 2 * HOUR) for n in range(tenants)]
    report = Reported(NOW - ago, 6)
    brake = judged(*held, recent=Recent((), [NOW] * 100, reported={"lost:x": report, ANY_LOST: report}))
    bursts = brake.new_bursts(())
    assert [burst.is_update for burst in bursts.values()] == [True] * due


def test_a_report_of_an_earlier_wave_does_not_count() -> None:
    """What was reported before the first of those held now changed was about others."""
    causes = [a_cause(LOST, "x", f"t{n}") for n in range(4)]
    report = Reported(NOW - 24 * HOUR, 100)
    reported = {"lost:x": report, ANY_LOST: report}
    assert set(judged(*causes, recent=Recent((), [NOW] * 50, reported=reported)).new_bursts(causes)) == {"lost:x"}
    held = [replace(cause, held_in=1) for cause in causes]
    assert set(judged(*held, recent=Recent((), [NOW] * 50, reported=reported)).new_bursts(())) == {"lost:x"}
