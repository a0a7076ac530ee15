"""What an upgrade does to verdicts that an earlier release decided by a rule that is gone."""

from dataclasses import replace

import pytest

from checks.judgement import GONE_RULES
from checks.report import Verdict
from monitor.drift import EventKind
from tests.check_sequence import CheckSequence
from tests.reports import OTHER_KEY, served


def decided_before(letters: str, rule: str) -> CheckSequence:
    """After these checks by an earlier release, whose verdict rests on this rule."""
    sequence = CheckSequence()
    sequence.checks(letters)
    permissions = {id_: replace(was, rule=rule) for id_, was in sequence.known.permissions.items()}
    sequence.known = replace(sequence.known, permissions=permissions)
    return sequence


@pytest.mark.parametrize("rule", sorted(GONE_RULES))
def test_what_was_granted_by_a_rule_that_is_gone_is_not_lost(rule: str) -> None:
    """It may never have been granted, so it is found to be missing, by those who set the tenant up."""
    sequence = decided_before("g", rule)
    assert sequence.checks("mm") == ["found:jobs"]
    assert (sequence.event.seen_before, sequence.event.notified_as) == (None, None)
    assert sequence.checks("g") == ["regained:jobs"]  # seen both ways by the rules of now


@pytest.mark.parametrize("rule", sorted(GONE_RULES))
@pytest.mark.parametrize(("before", "origin"), [("gmm", EventKind.LOST), ("mm", EventKind.FOUND)])
def test_what_was_missing_by_a_rule_that_is_gone_is_not_regained(rule: str, before: str, origin: EventKind) -> None:
    """It may never have been missing. If it still is, nobody is notified a second time, and its end has its reader."""
    assert decided_before(before, rule).checks("gg") == []
    assert decided_before(before, rule).checks("mg") == []
    sequence = decided_before(before, rule)
    assert sequence.checks("mm") == ["found:jobs"]
    assert sequence.event.notified_as == origin
    assert sequence.checks("g") == ["regained:jobs"]
    assert sequence.event.notified_as == origin


@pytest.mark.parametrize("before", ["g", "gmm"])
def test_what_a_rule_that_is_gone_decided_is_undecided_until_it_is_decided_anew(before: str) -> None:
    """A check that cannot tell does not leave the old verdict standing."""
    sequence = decided_before(before, "V2")
    assert sequence.checks("u") == []
    known = sequence.known.permissions["jobs"]
    assert (known.verdict, known.undecided_as, known.since) == (None, Verdict.UNDECIDED, None)


def test_a_new_secret_does_not_make_it_regained_either() -> None:
    """What is carried over keeps the mark of the rule."""
    sequence = decided_before("gmm", "V1")
    assert sequence.check(served({"jobs": "g"}), OTHER_KEY) == ["replaced:None"]
