"""What is said of a credential that may do more than the manifest asks for."""

from datetime import UTC, datetime

from checks.report import Excess, Verdict
from monitor.drift import KnownPermission
from monitor.reporting.excess_words import may_hold_everything, sentences
from tests.cases import for_each

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LIST = KnownPermission("Offers", "GET: List offers", Verdict.GRANTED, "V19")
INFERRED = KnownPermission("Offers", "GET: Retrieve offer", Verdict.GRANTED, "V22")
UNREFUSED = KnownPermission(
    "Users", "GET: Retrieve User", undecided_as=Verdict.UNDECIDED, undecided_reason="no_refusal", undecided_since=NOW
)
MISSING = KnownPermission("Jobs", "GET: List jobs", Verdict.MISSING, "V18")
SUSPECT = KnownPermission("Jobs", "GET: Retrieve job", Verdict.GRANTED, "V22", suspect_since=NOW)
UNCHECKED = KnownPermission("Tags", "PUT: Add a candidate tag", undecided_as=Verdict.NOT_CHECKABLE)


def test_certain_and_likely_are_told_apart() -> None:
    """And of a long list the first ten are named."""
    found = [Excess(f"List {number}", "", certain=True) for number in range(12)]
    likely = [Excess("Hiring Team", "", certain=False)]
    assert list(sentences([*likely, *found])) == [
        "holds more than the manifest asks for: 12 for certain: "
        + ", ".join(f"List {number}" for number in range(10))
        + " and 2 more",
        "holds more than the manifest asks for: 1 likely: Hiring Team",
    ]
    assert list(sentences([])) == []


@for_each(
    [
        ([UNREFUSED, LIST, UNCHECKED], True),
        ([LIST, UNCHECKED], False),
        ([UNREFUSED, MISSING], False),
        ([UNREFUSED, SUSPECT], False),
        ([UNREFUSED, INFERRED], False),
        ([], False),
    ],
    ids=lambda case: ", ".join(one.label for one in case[0]),
)
def test_everything_may_be_held_only_if_nothing_is_known_to_be_refused(
    case: tuple[list[KnownPermission], bool],
) -> None:
    """What is inferred rests on a refusal, and so shows that not every box is ticked."""
    known, expected = case
    assert may_hold_everything(known) is expected
