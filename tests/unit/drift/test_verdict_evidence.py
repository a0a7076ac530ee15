"""The evidence that is kept with a permission belongs to what is said of it."""

from dataclasses import replace
from datetime import datetime

from checks.report import CheckReport
from monitor.drift import KnownPermission, difference
from tests.cases import for_each
from tests.check_sequence import CheckSequence
from tests.reports import HOUR, KEY, OTHER_KEY, T0, served

STATUS = {"g": 404, "m": 403, "u": 502, "n": None}


def checked(letter: str, number: int, rule: str = "V22", reason: str = "") -> CheckReport:
    """A full check of `jobs`, whose answer and control have the number of the check."""
    (found,) = served({"jobs": letter}).findings
    told = replace(found, rule=rule, reason=reason, answered_status=STATUS[letter], evidence=(f"control {number}",))
    return replace(served({}), findings=(told,))


def after(letters: str) -> KnownPermission:
    sequence = CheckSequence()
    for number, letter in enumerate(letters):
        sequence.check(checked(letter, number))
    return sequence.known.permissions["jobs"]


def kept(known: KnownPermission) -> tuple[int | None, tuple[str, ...] | None, datetime | None]:
    return known.answered_status, known.evidence, known.evidence_at


@for_each(
    [
        ("g", 0),
        ("gggg", 0),  # what vouches for it later is nothing new
        ("gm", 1),  # suspected: the refusal
        ("gmm", 2),  # confirmed: the refusal that confirmed it
        ("gmmmm", 2),
        ("gmg", 2),  # cleared: what cleared it
        ("gu", 1),  # undecided: what was answered then
        ("guuu", 1),  # the first reason of a stretch is the one that is kept
        ("gug", 2),
        ("gmu", 2),
        ("gmum", 3),  # confirmed after a check that could not tell
        ("gmmu", 2),  # missing stays missing, with what showed it
        ("gmmuum", 2),
        ("gmmg", 3),
        ("n", 0),
        ("nn", 0),
        ("nu", 1),
        ("mm", 1),
        ("u", 0),
    ]
)
def test_evidence_is_of_the_check_that_led_to_what_is_said(case: tuple[str, int]) -> None:
    """g granted, m missing, u undecided, n not checkable; the number of the check whose evidence is kept at the end."""
    letters, number = case
    assert kept(after(letters)) == (STATUS[letters[number]], (f"control {number}",), T0 + number * HOUR)


def test_an_unchanged_verdict_writes_nothing_whatever_vouches_for_it() -> None:
    """Rows are changes only. Another rule is a change, and brings its evidence."""
    for letters in ("gg", "gmmm", "uu", "nn", "gmmuu"):
        sequence = CheckSequence()
        for number, letter in enumerate(letters):
            before = sequence.known.permissions
            sequence.check(checked(letter, number))
        assert difference(before, sequence.known.permissions) == ({}, frozenset()), letters
    sequence = CheckSequence()
    sequence.check(checked("g", 0))
    sequence.check(checked("g", 1, rule="V21"))
    assert kept(sequence.known.permissions["jobs"]) == (404, ("control 1",), T0 + HOUR)


def test_what_an_earlier_release_decided_has_no_evidence_until_it_changes() -> None:
    """An unchanged check does not write it either."""
    sequence = CheckSequence()
    sequence.check(checked("g", 0))
    older = replace(
        sequence.known.permissions["jobs"], answered_status=None, evidence=None, more_evidence=None, evidence_at=None
    )
    sequence.known = replace(sequence.known, permissions={"jobs": older})
    sequence.check(checked("g", 1))
    assert kept(sequence.known.permissions["jobs"]) == (None, None, None)
    sequence.check(checked("u", 2))
    assert kept(sequence.known.permissions["jobs"]) == (502, ("control 2",), T0 + 2 * HOUR)


def test_what_is_seen_granted_once_keeps_the_evidence_that_it_is_missing() -> None:
    """Harvest v3: introspection alone says that it is back."""
    sequence = CheckSequence()
    for number, letter in enumerate("gmmg"):
        sequence.check(checked(letter, number, reason="scope_carried" if letter == "g" else ""))
    assert kept(sequence.known.permissions["jobs"])[1] == ("control 2",)


def test_a_new_secret_and_a_permission_declined_have_no_evidence() -> None:
    """Nothing was decided about either."""
    sequence = CheckSequence()
    for number, letter in enumerate("gmm"):
        sequence.check(checked(letter, number))
    sequence.check(replace(checked("g", 3), findings=(), partial=True), OTHER_KEY)
    assert sequence.known.permissions["jobs"].carried
    assert kept(sequence.known.permissions["jobs"]) == (None, None, None)
    declined = CheckSequence()
    (found,) = checked("m", 0).findings
    declined.check(replace(served({}), findings=(replace(found, declined=True),)), KEY)
    assert kept(declined.known.permissions["jobs"]) == (None, None, None)
