"""How a tenant stands, in one word."""

from monitor.incidents.status import PRESENT, Standing, TenantStatus, status_of
from tests.cases import for_each

FAILING, DRIFTED, UNDECIDED, NEW, HEALTHY, PAUSED, REMOVED = TenantStatus
CASES = {
    "nothing is known of one that was just added": (Standing(credentials=1, unsettled=1), NEW),
    "nor of one without a credential": (Standing(), NEW),
    "everything is as it should be": (Standing(credentials=2), HEALTHY),
    "one credential of two is not checked yet": (Standing(credentials=2, unsettled=1), NEW),
    "one credential fails": (Standing(credentials=2, failing=1, missing=3, undecided=1), FAILING),
    "a first check that fails": (Standing(credentials=1, failing=1, unsettled=1), FAILING),
    "its row cannot be used, and there is no credential": (Standing(problem=True), FAILING),
    "a problem beside credentials that work": (Standing(problem=True, credentials=1), HEALTHY),
    "a permission is missing": (Standing(credentials=2, missing=1, undecided=4, unsettled=1), DRIFTED),
    "one is undecided": (Standing(credentials=1, undecided=1, unsettled=1), UNDECIDED),
    "paused, whatever else": (Standing(paused=True, problem=True, credentials=2, failing=1, missing=1), PAUSED),
    "removed, whatever else": (Standing(removed=True, paused=True, credentials=1, failing=1), REMOVED),
}


@for_each(CASES)
def test_the_worst_of_what_is_known_is_the_status(case: str) -> None:
    """In this order: the first that applies."""
    standing, status = CASES[case]
    assert status_of(standing) is status


def test_the_worst_come_first() -> None:
    """The severity is the place in the list; a removed tenant is in no list."""
    assert [status.severity for status in PRESENT] == [0, 1, 2, 3, 4, 5]
    assert PRESENT == (FAILING, DRIFTED, UNDECIDED, NEW, HEALTHY, PAUSED)
