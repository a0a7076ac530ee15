"""What is left of causes once opposite ones have cancelled each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift import EventKind
from monitor.notices.changes import PendingCause, cancel_out
from tests.notices import a_cause, for_operator

LOST, REGAINED = EventKind.LOST, EventKind.REGAINED
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
TOLD = 77


def _turns(*kinds: EventKind, permission: str | None, told_by: int | None) -> list[PendingCause]:
    """The turns of one subject; `told_by` is what is known of the first, if it is an end."""
    return [
        a_cause(kind, permission, told_by=told_by if number == 0 and kind in (REGAINED, RECOVERED) else None)
        for number, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "told_by", "stands"),
    [
        ([LOST], None, 0),
        ([LOST, REGAINED], None, None),  # gone and back before anybody was told
        ([LOST, REGAINED, LOST], None, 2),  # the last loss, with its own window
        ([REGAINED], TOLD, 0),
        ([REGAINED], None, None),  # nobody was told of the loss, or it was dropped
        ([REGAINED, LOST], TOLD, None),  # the reader believes it missing, and it is
        ([REGAINED, LOST], None, 1),  # the reader believes it granted, and it is not
        ([REGAINED, LOST, REGAINED], TOLD, 2),
    ],
)
def test_a_permission_is_told_of_where_its_reader_is_wrong(
    kinds: list[EventKind], told_by: int | None, stands: int | None
) -> None:
    """Only the last turn is told, and only where it differs from what the reader believes."""
    turns = _turns(*kinds, permission="GET: List offers", told_by=told_by)
    netted = cancel_out(turns)
    assert list(netted.standing) == ([] if stands is None else [turns[stands]])
    assert set(netted.silent) == {cause.id for cause in turns} - {cause.id for cause in netted.standing}


@pytest.mark.parametrize(
    ("kinds", "told_by", "stands"),
    [
        ([FAILED], None, 0),
        ([FAILED, FAILED], None, 1),  # blocked, then retired: the last state is the news
        ([FAILED, RECOVERED], None, None),
        ([RECOVERED], TOLD, 0),
        ([RECOVERED, FAILED], TOLD, 1),  # it may fail differently now, so it is told again
    ],
)
def test_a_credential_is_told_of_by_its_last_state(
    kinds: list[EventKind], told_by: int | None, stands: int | None
) -> None:
    """A credential that failed and recovered meanwhile is not told of; one that fails anew is."""
    turns = _turns(*kinds, permission=None, told_by=told_by)
    assert list(cancel_out(turns).standing) == ([] if stands is None else [turns[stands]])


def test_what_cancels_what_was_told_keeps_its_notice() -> None:
    """A loss that only takes back a regain is spoken for by the notice of the first loss, so that its end is told."""
    regained, lost = _turns(REGAINED, LOST, permission="GET: List offers", told_by=TOLD)
    assert cancel_out([regained, lost]).silent == {regained.id: TOLD, lost.id: TOLD}


def test_causes_cancel_within_one_audience_credential_and_permission_only() -> None:
    """Ends of one thing say nothing of another, and what one reader hears does not depend on the other's mail."""
    causes = [
        a_cause(LOST, "GET: List offers"),
        a_cause(REGAINED, "GET: List jobs", told_by=TOLD),
        a_cause(REGAINED, "GET: List offers", credential_id=2, told_by=TOLD),
        for_operator(REGAINED, "GET: List offers", told_by=TOLD),
        for_operator(EventKind.EXCESS_FOUND, "GET: List offers"),
    ]
    assert cancel_out(causes).standing == tuple(causes)


@given(
    st.lists(
        st.builds(
            lambda kind, permission, told_by: a_cause(kind, permission, told_by=told_by),
            st.sampled_from([LOST, REGAINED]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([None, TOLD]),
        )
    )
)
def test_every_cause_stands_or_is_silent(causes: list[PendingCause]) -> None:
    """Nothing gets lost in netting, and a subject has one standing cause at most."""
    netted = cancel_out(causes)
    standing = [cause.id for cause in netted.standing]
    assert sorted([*standing, *netted.silent]) == sorted(cause.id for cause in causes)
    subjects = [cause.subject for cause in netted.standing]
    assert len(subjects) == len(set(subjects))
