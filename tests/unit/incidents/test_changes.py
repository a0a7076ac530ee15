"""Bursts as the rows of a list, for drawn bursts and pages of drawn sizes."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from monitor.incidents.changes import LABELS, ListedBurst, ListedChange, ToldCount, ToldStatus, needing_attention, rows
from monitor.notices.notice import Status
from tests.reports import MINUTE, T0


def a_burst(id_: int, minute: int = 0, tenant: str = "acme", tenants: int = 1, kind: str = "lost") -> ListedBurst:
    at = T0 + minute * MINUTE
    label = f"GET: {id_}"
    return ListedBurst(id_, kind, str(id_), "Jobs", label, None, at, at, at, at, at, tenants, tenants, [tenant])


DRAWN = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["acme", "globex"]), st.integers(1, 2)), min_size=1, max_size=40
)


@given(DRAWN, st.integers(1, 5), st.integers(2, 9))
def test_pages_have_every_burst_once(drawn: Sequence[tuple[int, str, int]], limit: int, fetched: int) -> None:
    """However many bursts are read for a page, no burst is shown twice or left out, and no page is empty."""
    left = [a_burst(number, *fields) for number, fields in enumerate(drawn)]
    left.sort(key=lambda burst: burst.position, reverse=True)
    everything, shown = [burst.id for burst in left], []
    more = True
    while more:
        page, end = rows(left[:fetched], limit, more=len(left) > fetched)
        assert 0 < len(page) <= limit
        shown += [burst.id for row in page for burst in row]
        more = end is not None
        left = [burst for burst in left if end and burst.position < end]
    assert sorted(shown) == sorted(everything)
    assert left == []


def test_what_one_check_found_of_a_tenant_is_one_row() -> None:
    """Losses of one tenant at one moment are one row; other kinds, other moments and many tenants have their own."""
    together = [a_burst(number, minute=1) for number in range(9, 2, -1)]
    others = [a_burst(2, tenants=42), a_burst(1, kind="regained"), a_burst(0, tenant="globex")]
    found, end = rows([*together, *others], 10, more=False)
    assert [len(row) for row in found] == [7, 1, 1, 1]
    assert end is None
    change = ListedChange(found[0], {"acme": "Acme"})
    assert (len(change.labels), change.more_labels, change.events, change.tenants) == (LABELS, 2, 7, 1)


def test_a_row_that_may_be_incomplete_is_left_to_the_next_page() -> None:
    """Unless it is the only one: then it is shown in parts."""
    bursts = [a_burst(4, minute=1), a_burst(3), a_burst(2), a_burst(1)]
    assert rows(bursts[:3], 10, more=True) == ([bursts[:1]], bursts[0].position)
    assert rows(bursts[1:3], 10, more=True) == ([bursts[1:3]], bursts[2].position)


def test_a_tenant_counts_under_what_needs_attention_most() -> None:
    """A held notice is not hidden by one that was sent; and every status of a notice has its place."""
    sent, held = (ToldCount(status, 1, "csm", "Dana", None) for status in (ToldStatus.SENT, ToldStatus.HELD))
    assert needing_attention([sent, held]) == (held,)
    assert set(ToldStatus) == {*map(ToldStatus, Status), ToldStatus.SETTLING, ToldStatus.NOBODY}
