"""What remains of causes once opposite ones have cancelled each other out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import EventKind
from monitor.notices.causes import PendingCause, cancel_out
from tests.notices import a_cause, for_operator

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
NOTICE = 77


def _history(*kinds: EventKind, permission: str | None, notified_in: int | None) -> list[PendingCause]:
    """The causes of one subject; `notified_in` is of the first one, if it is an end."""
    return [
        a_cause(kind, permission, notified_in=notified_in if number == 0 and kind in (REGAINED, RECOVERED) else None)
        for number, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "notified_in", "remains"),
    [
        ([LOST], None, 0),
        ([LOST, REGAINED], None, None),  # gone and back before anyone was notified
        ([LOST, REGAINED, LOST], None, 2),  # the last loss, with its own window
        ([REGAINED], NOTICE, 0),
        ([REGAINED], None, None),  # nobody was notified of the loss, or it was dropped
        ([REGAINED, LOST], NOTICE, None),  # the reader believes it missing, and it is
        ([REGAINED, LOST], None, 1),  # the reader believes it granted, and it is not
        ([REGAINED, LOST, REGAINED], NOTICE, 2),
    ],
)
def test_a_permission_is_reported_if_its_reader_believes_otherwise(
    kinds: list[EventKind], notified_in: int | None, remains: int | None
) -> None:
    """Only the last change is reported, and only if it differs from what the reader believes."""
    causes = _history(*kinds, permission="GET: List offers", notified_in=notified_in)
    cancelled = cancel_out(causes)
    assert list(cancelled.remaining) == ([] if remains is None else [causes[remains]])
    assert set(cancelled.suppressed) == {cause.id for cause in causes} - {cause.id for cause in cancelled.remaining}


@pytest.mark.parametrize(
    ("kinds", "notified_in", "remains"),
    [
        ([FAILED], None, 0),
        ([FAILED, FAILED], None, 1),  # blocked, then retired: the last state is the news
        ([FAILED, RECOVERED], None, None),
        ([RECOVERED], NOTICE, 0),
        ([RECOVERED, FAILED], NOTICE, 1),  # it may fail differently now, so it is reported again
    ],
)
def test_a_credential_is_reported_by_its_last_state(
    kinds: list[EventKind], notified_in: int | None, remains: int | None
) -> None:
    """A credential that failed and recovered meanwhile is not reported; one that fails again is."""
    causes = _history(*kinds, permission=None, notified_in=notified_in)
    assert list(cancel_out(causes).remaining) == ([] if remains is None else [causes[remains]])


def test_a_suppressed_cause_keeps_the_notice_of_the_beginning() -> None:
    """A loss that only cancels a regain belongs to the notice of the first loss, so that its end is reported."""
    regained, lost = _history(REGAINED, LOST, permission="GET: List offers", notified_in=NOTICE)
    assert cancel_out([regained, lost]).suppressed == {regained.id: NOTICE, lost.id: NOTICE}


def test_causes_cancel_within_one_audience_credential_and_permission_only() -> None:
    """An end says nothing about another subject, and what one reader gets does not depend on the other's email."""
    causes = [
        a_cause(LOST, "GET: List offers"),
        a_cause(REGAINED, "GET: List jobs", notified_in=NOTICE),
        a_cause(REGAINED, "GET: List offers", credential_id=2, notified_in=NOTICE),
        for_operator(REGAINED, "GET: List offers", notified_in=NOTICE),
        for_operator(EventKind.EXCESS_FOUND, "GET: List offers"),
    ]
    assert cancel_out(causes).remaining == tuple(causes)


@given(
    st.lists(
        st.builds(
            lambda kind, permission, notified_in: a_cause(kind, permission, notified_in=notified_in),
            st.sampled_from([LOST, REGAINED]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([None, NOTICE]),
        )
    )
)
def test_every_cause_remains_or_is_suppressed(causes: list[PendingCause]) -> None:
    """No cause gets lost, and a subject has one remaining cause at most."""
    cancelled = cancel_out(causes)
    remaining = [cause.id for cause in cancelled.remaining]
    assert sorted([*remaining, *cancelled.suppressed]) == sorted(cause.id for cause in causes)
    subjects = [cause.subject for cause in cancelled.remaining]
    assert len(subjects) == len(set(subjects))
