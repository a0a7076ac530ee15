"""What a check changes about permissions and excess, rule by rule.

test_credential.py is about the credential as a whole, test_properties.py about what holds for any sequence of checks.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport, Excess, Outcome, Verdict
from monitor.drift import Counts, EventKind, Known, compare, difference
from tests.check_sequence import CheckSequence
from tests.reports import HOUR, KEY, MINUTE, POLICY, T0, failed, served

BLOCKED, UNREACHABLE = CredentialState.BLOCKED, CredentialState.UNREACHABLE


@pytest.mark.parametrize(
    ("letters", "events"),
    [
        ("g", []),  # a healthy baseline has no events
        ("m", []),  # once is a suspicion
        ("mm", ["found:jobs"]),  # missing at first sight
        ("mg", []),  # a mistake, or given back within the minute
        ("gm", []),
        ("gmm", ["lost:jobs"]),
        ("gmmmmm", ["lost:jobs"]),  # reported once
        ("gmgm", []),  # the suspicion starts over
        ("gmum", ["lost:jobs"]),  # undecided keeps the suspicion
        ("gmuuug", []),
        ("gmmg", ["lost:jobs", "regained:jobs"]),  # a permission given back needs one check
        ("gmmug", ["lost:jobs", "regained:jobs"]),
        ("gmmum", ["lost:jobs"]),  # undecided does not end an absence
        ("gmmgmm", ["lost:jobs", "regained:jobs", "lost:jobs"]),
        ("ummu", ["found:jobs"]),  # nothing was decided before
        ("uug", []),  # nothing was missing before
        ("ugmm", ["lost:jobs"]),
        ("mmg", ["found:jobs", "regained:jobs"]),
        ("nnn", []),
        ("nmm", ["found:jobs"]),  # write probes were turned on
        ("gnmm", ["lost:jobs"]),
    ],
)
def test_a_loss_needs_two_checks_and_a_regain_one(letters: str, events: list[str]) -> None:
    """g granted, m missing, u undecided, n not checkable: the events of a sequence of checks of one permission."""
    assert CheckSequence().checks(letters) == events


def test_a_loss_happened_between_two_known_checks() -> None:
    """The window of a loss: from the last check that saw it granted to the first that saw it missing."""
    sequence = CheckSequence()
    sequence.checks("gggumm")  # hours 0 to 5
    assert (sequence.event.seen_before, sequence.event.first_seen) == (T0 + 2 * HOUR, T0 + 4 * HOUR)


def test_a_suspicion_that_no_check_could_settle_for_an_interval_says_nothing_of_when() -> None:
    """Seen missing once, then undecided for a day, then missing twice: it went missing when it was seen again."""
    sequence = CheckSequence()
    assert sequence.checks("gm" + 24 * "u" + "m") == []
    again = sequence.now
    assert sequence.checks("m") == ["lost:jobs"]
    assert (sequence.event.seen_before, sequence.event.first_seen) == (T0, again)


def test_a_second_check_that_clears_a_suspicion_moves_the_window() -> None:
    """Granted in a check of suspects counts as seen granted, although that is no full check."""
    sequence = CheckSequence()
    sequence.checks("gm")
    sequence.check(served({"jobs": "g"}, partial=True))  # hour 2
    sequence.checks("mm")
    assert (sequence.event.seen_before, sequence.event.first_seen) == (T0 + 2 * HOUR, T0 + 3 * HOUR)


def test_the_window_of_what_was_never_seen_granted_has_no_beginning() -> None:
    """Found at first sight: it is unknown since when it is missing."""
    sequence = CheckSequence()
    sequence.checks("mm")
    assert (sequence.event.seen_before, sequence.event.first_seen) == (None, T0)


def test_a_regain_happened_between_two_known_checks() -> None:
    """The window of a regain: from the last check that saw it missing to the one that saw it granted."""
    sequence = CheckSequence()
    sequence.checks("gmmmg")
    assert (sequence.event.seen_before, sequence.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert sequence.event.notified_as == EventKind.LOST


def test_a_second_check_decides_suspects_only() -> None:
    """A partial check leaves the permissions that it did not ask about as they were."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "g", "offers": "g", "users": "u"}))
    sequence.check(served({"jobs": "m", "offers": "g", "users": "u"}))
    before = sequence.known
    assert sequence.check(served({"jobs": "m"}, partial=True)) == ["lost:jobs"]
    assert {key: sequence.known.permissions[key] for key in ("offers", "users")} == {
        key: before.permissions[key] for key in ("offers", "users")
    }
    assert sequence.known.credential.last_full_at == before.credential.last_full_at


def test_only_what_changed_is_written() -> None:
    """A check that finds everything as it was has no permission and no excess to write."""
    sequence = CheckSequence()
    report = served({"jobs": "g", "offers": "m", "users": "u"}, excess=[Excess("x", "GET /v1/x", True)])
    for _ in range(3):
        sequence.check(report)
    before = sequence.known
    sequence.check(report)
    assert difference(before.permissions, sequence.known.permissions) == ({}, frozenset())
    assert difference(before.excess, sequence.known.excess) == ({}, frozenset())


def test_undecided_checks_in_a_row_keep_the_time_of_the_first() -> None:
    """`undecided_since` is the first of them, and the last decided verdict is kept as well."""
    sequence = CheckSequence()
    sequence.checks("guu")
    state = sequence.known.permissions["jobs"]
    assert (state.verdict, state.undecided_since) == (Verdict.GRANTED, T0 + HOUR)
    sequence.checks("g")
    assert sequence.known.permissions["jobs"].undecided_since is None


def test_undecided_and_then_not_checkable_is_open_since_the_first() -> None:
    """Write probes are turned off while a permission is undecided: the verdict changes, `undecided_since` does not."""
    sequence = CheckSequence()
    sequence.checks("gun")
    state = sequence.known.permissions["jobs"]
    assert (state.undecided_since, state.undecided_as) == (T0 + HOUR, Verdict.NOT_CHECKABLE)


def test_the_baseline_is_the_first_full_check() -> None:
    """Later checks with the same secret do not move it."""
    sequence = CheckSequence()
    sequence.check(failed(UNREACHABLE))
    sequence.checks("mgu")
    assert sequence.known.credential.baseline_at == T0 + HOUR


def test_the_credential_counts_what_is_confirmed() -> None:
    """The counts and the outcome are of confirmed states; suspects are counted separately."""
    sequence = CheckSequence()
    report = served({"a": "g", "b": "m", "c": "u", "d": "n", "e": "g"}, excess=[Excess("x", "GET /v1/x", False)])
    sequence.check(report)
    before = sequence.known
    assert before.outcome is Outcome.UNDECIDED
    assert before.counts == Counts(granted=2, missing=0, undecided=1, unchecked=1, suspects=1, excess=1)
    sequence.check(report)
    assert sequence.known.outcome is Outcome.DRIFTED
    assert sequence.known.counts == Counts(granted=2, missing=1, undecided=1, unchecked=1, suspects=0, excess=1)


def test_a_suspicion_in_a_baseline_is_undecided() -> None:
    """A permission seen missing once and never granted is unknown: neither drift nor compliance."""
    sequence = CheckSequence()
    sequence.checks("m")
    assert sequence.known.outcome is Outcome.UNDECIDED


def test_a_suspicion_after_a_grant_is_no_drift_yet() -> None:
    """The confirmed state is kept meanwhile: a credential with one suspicion is still compliant."""
    sequence = CheckSequence()
    sequence.checks("gm")
    assert sequence.known.outcome is Outcome.COMPLIANT


@pytest.mark.parametrize(
    ("letters", "waits"),
    [
        ("g", None),  # nothing to confirm
        ("gm", MINUTE),
        ("gmu", 2 * MINUTE),  # decided nothing: the wait doubles each time
        ("gmuuu", 8 * MINUTE),
        ("gmm", None),
        ("gmuum", None),
        ("mg", None),
    ],
)
def test_a_suspicion_asks_for_another_check(letters: str, waits: timedelta | None) -> None:
    """Soon at first, then backing off while checks decide nothing, and not at all once it is settled."""
    sequence = CheckSequence()
    sequence.checks(letters)
    assert sequence.check_again_in == waits


def test_the_newest_suspicion_sets_the_time() -> None:
    """A new suspicion does not wait for an old one."""
    sequence = CheckSequence()
    sequence.check(served({"old": "m", "new": "g"}))
    sequence.check(served({"old": "u", "new": "g"}))
    sequence.check(served({"old": "u", "new": "m"}))
    assert sequence.check_again_in == MINUTE


# The manifest changes.


def test_what_the_manifest_newly_requires_is_never_lost() -> None:
    """Never seen granted, after a baseline without it: newly required, however long it was undecided before."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "g"}))
    seen = [e for letter in "umm" for e in sequence.check(served({"jobs": "g", "offers": letter}, digest="e" * 16))]
    assert seen == ["newly_required:offers"]
    assert sequence.event.notified_as is None
    assert sequence.check(served({"jobs": "g", "offers": "g"})) == ["regained:offers"]


def test_what_the_manifest_newly_requires_can_be_lost_later() -> None:
    """Once seen granted, it is like any other permission."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "g"}))
    seen = [e for letter in "gmm" for e in sequence.check(served({"jobs": "g", "offers": letter}))]
    assert seen == ["lost:offers"]


def test_what_the_manifest_no_longer_requires_is_forgotten() -> None:
    """There is no event, and it does not count as missing any more."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "m", "offers": "g"}))
    sequence.check(served({"jobs": "m", "offers": "g"}))
    assert sequence.check(served({"offers": "g"}, digest="e" * 16)) == []
    assert sequence.known.counts.missing == 0
    assert set(sequence.known.permissions) == {"offers"}


def test_what_is_declined_is_no_drift() -> None:
    """There is no event, neither when it is missing nor when it is given back, and the outcome is compliant."""
    sequence = CheckSequence()
    seen = [e for letter in "gmmgmm" for e in sequence.check(served({"jobs": letter}, declined=["jobs"]))]
    assert seen == []
    assert sequence.known.outcome is Outcome.COMPLIANT


def test_declining_a_lost_permission_has_no_event() -> None:
    """A lost permission that is then declined is not missing any more; required again, it is found, not lost."""
    sequence = CheckSequence()
    sequence.checks("gmm")
    assert sequence.check(served({"jobs": "m"}, declined=["jobs"])) == []
    assert sequence.known.counts.missing == 0
    assert sequence.checks("mm") == ["found:jobs"]


def test_labels_follow_the_manifest() -> None:
    """A stored state has the label of the last manifest under which it was checked."""
    sequence = CheckSequence()
    sequence.checks("g")
    report = served({"jobs": "u"})
    sequence.check(replace(report, findings=(replace(report.findings[0], label="GET: List all jobs"),)))
    assert sequence.known.permissions["jobs"].label == "GET: List all jobs"


# Excess.


def test_excess_is_found_and_gone_in_one_check() -> None:
    """Certain or likely, it is reported once; it is gone when its endpoint is refused, not when it is not asked."""
    sure, likely = Excess("List x", "GET /v1/x", True), Excess("Put y", "PUT /v1/y/{id}", False)
    sequence = CheckSequence()
    assert sequence.check(served({"jobs": "g"}, excess=[sure, likely])) == [
        "excess_found:GET /v1/x",
        "excess_found:PUT /v1/y/{id}",
    ]
    assert sequence.change is not None
    assert [event.detail for event in sequence.change.events] == ["certain", "likely"]
    assert sequence.check(served({"jobs": "g"}, excess=[sure])) == []
    assert sequence.check(served({"jobs": "g"}, excess=[sure], no_excess=["PUT /v1/y/{id}"])) == [
        "excess_gone:PUT /v1/y/{id}"
    ]
    assert sequence.event.label == "Put y"
    assert set(sequence.known.excess) == {"GET /v1/x"}


def test_excess_that_becomes_required_is_forgotten() -> None:
    """The manifest now requires it, so it is removed without an event."""
    sequence = CheckSequence()
    sequence.check(served({"jobs": "g"}, excess=[Excess("x", "GET /v1/offers", True)]))
    assert sequence.check(served({"jobs": "g", "offers": "g"})) == []
    assert sequence.known.excess == {}


def test_a_second_look_is_silent_about_excess() -> None:
    """A look at suspects asks nothing outside the manifest."""
    story = CheckSequence()
    story.check(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    story.check(served({"jobs": "m"}, partial=True))
    assert set(story.known.excess) == {"GET /v1/x"}


def _meaning(report: CheckReport, endpoint: str, scopes: tuple[str, ...] = ()) -> CheckReport:
    """The same report of a manifest whose permissions ask for this instead."""
    findings = tuple(replace(found, endpoint=endpoint, scopes=scopes) for found in report.findings)
    return replace(report, findings=findings, manifest_digest="e" * 16)


def test_another_meaning_under_the_same_id_is_never_a_loss() -> None:
    """Granted under the old meaning, missing under the new one: newly required, not lost."""
    story = CheckSequence()
    story.checks("g")
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["newly_required:jobs"]]


def test_what_was_suspect_under_the_old_meaning_is_no_suspicion_of_the_new_one() -> None:
    """Seen missing once, then the manifest changes: it takes two checks again."""
    story = CheckSequence()
    story.checks("gm")
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["newly_required:jobs"]]


def test_what_was_missing_under_the_old_meaning_is_not_regained_under_the_new_one() -> None:
    """The customer gave nothing back: something else is asked for."""
    story = CheckSequence()
    story.checks("gmm")
    assert story.check(_meaning(served({"jobs": "g"}), "GET /v1/offers")) == []


def test_a_loss_after_the_new_meaning_was_granted_is_a_loss() -> None:
    """The new meaning has a past of its own."""
    story = CheckSequence()
    story.checks("g")
    story.check(_meaning(served({"jobs": "g"}), "GET /v1/offers"))
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["lost:jobs"]]


def test_another_id_and_a_removed_permission_are_no_loss() -> None:
    """A renamed id is newly required where it is missing; the old one is forgotten without an event."""
    story = CheckSequence()
    story.check(served({"jobs": "g", "offers": "g"}))
    renamed = served({"positions": "m"}, digest="e" * 16)
    assert [story.check(renamed), story.check(renamed)] == [[], ["newly_required:positions"]]
    assert set(story.known.permissions) == {"positions"}


def test_scopes_mean_nothing_to_a_key_and_endpoints_nothing_to_a_client() -> None:
    """A manifest that lists other scopes changes nothing for a key of Harvest v1, whose loss is a loss."""
    story = CheckSequence()
    story.checks("g")
    other = _meaning(served({"jobs": "m"}), "GET /v1/jobs", ("harvest:jobs:list",))
    assert [story.check(other), story.check(other)] == [[], ["lost:jobs"]]
    client = CredentialKind.HARVEST_OAUTH
    known = compare(Known(), _meaning(served({"jobs": "g"}), "GET /v1/jobs", ("a", "b")), KEY, T0, POLICY, client).known
    for scopes, kinds in ((("b", "a"), ["lost"]), (("a", "c"), ["newly_required"])):
        now, report = known, _meaning(served({"jobs": "m"}), "GET /v1/moved", scopes)
        for _ in range(2):
            change = compare(now, report, KEY, T0 + HOUR, POLICY, client)
            now = change.known
        assert [event.kind for event in change.events] == kinds


def test_what_an_earlier_release_decided_counts_as_asked_for_in_the_same_way() -> None:
    """Rows without the mark take it with the next check, and lose nothing of their past."""
    story = CheckSequence()
    story.checks("g")
    bare = {id_: replace(was, asked=None) for id_, was in story.known.permissions.items()}
    story.known = replace(story.known, permissions=bare)
    story.checks("m")
    assert story.known.permissions["jobs"].asked is not None
    story.checks("m")
    assert story.event.kind == EventKind.LOST
