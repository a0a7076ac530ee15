"""What a look changes about permissions and excess, rule by rule.

test_drift_credential.py has the credential as a whole, test_drift_properties.py what holds for any sequence of looks.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport, Excess, Outcome, Verdict
from monitor.drift import Counts, EventKind, Known, compare, difference
from tests.reports import HOUR, KEY, MINUTE, POLICY, T0, failed, served
from tests.story import Story

BLOCKED, UNREACHABLE = CredentialState.BLOCKED, CredentialState.UNREACHABLE


@pytest.mark.parametrize(
    ("looks", "events"),
    [
        ("g", []),  # a healthy baseline says nothing
        ("m", []),  # once is a suspicion
        ("mm", ["found:jobs"]),  # missing at first sight
        ("mg", []),  # a mistake, or mended within the minute
        ("gm", []),
        ("gmm", ["lost:jobs"]),
        ("gmmmmm", ["lost:jobs"]),  # said once
        ("gmgm", []),  # the suspicion begins anew
        ("gmum", ["lost:jobs"]),  # undecided keeps the suspicion
        ("gmuuug", []),
        ("gmmg", ["lost:jobs", "regained:jobs"]),  # what comes back needs one look
        ("gmmug", ["lost:jobs", "regained:jobs"]),
        ("gmmum", ["lost:jobs"]),  # undecided does not end an absence
        ("gmmgmm", ["lost:jobs", "regained:jobs", "lost:jobs"]),
        ("ummu", ["found:jobs"]),  # nothing was decided before
        ("uug", []),  # nothing was missing before
        ("ugmm", ["lost:jobs"]),
        ("mmg", ["found:jobs", "regained:jobs"]),
        ("nnn", []),
        ("nmm", ["found:jobs"]),  # the write probes were switched on
        ("gnmm", ["lost:jobs"]),
    ],
)
def test_two_looks_make_an_absence_one_makes_a_presence(looks: str, events: list[str]) -> None:
    """g granted, m missing, u undecided, n not checkable: what the looks at one permission come to."""
    assert Story().checks(looks) == events


def test_a_loss_happened_between_two_known_looks() -> None:
    """The window of a loss: the last look that saw it granted, and the first that did not."""
    story = Story()
    story.checks("gggumm")  # hours 0 to 5
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 2 * HOUR, T0 + 4 * HOUR)


def test_a_second_look_that_clears_a_suspicion_moves_the_window() -> None:
    """Granted in a look at suspects counts as seen granted, though it was no full look."""
    story = Story()
    story.checks("gm")
    story.check(served({"jobs": "g"}, partial=True))  # hour 2
    story.checks("mm")
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 2 * HOUR, T0 + 3 * HOUR)


def test_what_was_never_seen_granted_has_no_beginning() -> None:
    """Found at first sight: nobody knows since when."""
    story = Story()
    story.checks("mm")
    assert (story.event.seen_before, story.event.first_seen) == (None, T0)


def test_a_regain_happened_between_two_known_looks() -> None:
    """The window of a regain: the last look that saw it missing, and the one that saw it granted."""
    story = Story()
    story.checks("gmmmg")
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert story.event.told_as == EventKind.LOST


def test_a_second_look_decides_on_the_suspects_only() -> None:
    """Permissions that a partial look was not about stay as they were."""
    story = Story()
    story.check(served({"jobs": "g", "offers": "g", "users": "u"}))
    story.check(served({"jobs": "m", "offers": "g", "users": "u"}))
    before = story.known
    assert story.check(served({"jobs": "m"}, partial=True)) == ["lost:jobs"]
    assert {key: story.known.permissions[key] for key in ("offers", "users")} == {
        key: before.permissions[key] for key in ("offers", "users")
    }
    assert story.known.credential.last_full_at == before.credential.last_full_at


def test_only_what_turned_is_to_be_written() -> None:
    """A look that finds everything as it was leaves nothing to write about permissions or excess."""
    story = Story()
    report = served({"jobs": "g", "offers": "m", "users": "u"}, excess=[Excess("x", "GET /v1/x", True)])
    for _ in range(3):
        story.check(report)
    before = story.known
    story.check(report)
    assert difference(before.permissions, story.known.permissions) == ({}, frozenset())
    assert difference(before.excess, story.known.excess) == ({}, frozenset())


def test_an_undecided_stretch_keeps_its_first_moment_and_reason() -> None:
    """Since when it cannot be told, and why at first; the last decided verdict stands beside it."""
    story = Story()
    story.checks("guu")
    standing = story.known.permissions["jobs"]
    assert (standing.verdict, standing.undecided_since) == (Verdict.GRANTED, T0 + HOUR)
    story.checks("g")
    assert story.known.permissions["jobs"].undecided_since is None


def test_what_cannot_be_told_and_then_not_be_checked_is_open_since_the_first() -> None:
    """Write probes switched off in an undecided stretch: another verdict, another reason, the same stretch."""
    story = Story()
    story.checks("gun")
    standing = story.known.permissions["jobs"]
    assert (standing.undecided_since, standing.undecided_as) == (T0 + HOUR, Verdict.NOT_CHECKABLE)


def test_the_baseline_is_the_first_full_look() -> None:
    """Later looks with the same secret do not move it."""
    story = Story()
    story.check(failed(UNREACHABLE))
    story.checks("mgu")
    assert story.known.credential.baseline_at == T0 + HOUR


def test_the_credential_counts_what_is_confirmed() -> None:
    """The tally and the outcome speak of confirmed standings; a suspicion is counted apart."""
    story = Story()
    report = served({"a": "g", "b": "m", "c": "u", "d": "n", "e": "g"}, excess=[Excess("x", "GET /v1/x", False)])
    story.check(report)
    before = story.known
    assert before.outcome is Outcome.UNDECIDED
    assert before.counts == Counts(granted=2, missing=0, undecided=1, unchecked=1, suspects=1, excess=1)
    story.check(report)
    assert story.known.outcome is Outcome.DRIFTED
    assert story.known.counts == Counts(granted=2, missing=1, undecided=1, unchecked=1, suspects=0, excess=1)


def test_a_suspicion_in_a_baseline_is_undecided() -> None:
    """Nothing is known yet of a permission seen missing once and never granted: neither drift nor compliance."""
    story = Story()
    story.checks("m")
    assert story.known.outcome is Outcome.UNDECIDED


def test_a_suspicion_against_what_was_granted_is_no_drift_yet() -> None:
    """The confirmed state stands meanwhile: a credential with one suspicion is still compliant."""
    story = Story()
    story.checks("gm")
    assert story.known.outcome is Outcome.COMPLIANT


@pytest.mark.parametrize(
    ("looks", "waits"),
    [
        ("g", None),  # nothing to confirm
        ("gm", MINUTE),
        ("gmu", 2 * MINUTE),  # it could not tell: more patience each time
        ("gmuuu", 8 * MINUTE),
        ("gmm", None),
        ("gmuum", None),
        ("mg", None),
    ],
)
def test_a_suspicion_asks_for_another_look(looks: str, waits: timedelta | None) -> None:
    """Soon at first, backing off while looks decide nothing, and not at all once it is settled."""
    story = Story()
    story.checks(looks)
    assert story.check_again_in == waits


def test_the_nearest_suspicion_sets_the_time() -> None:
    """A new suspicion does not wait for an old one."""
    story = Story()
    story.check(served({"old": "m", "new": "g"}))
    story.check(served({"old": "u", "new": "g"}))
    story.check(served({"old": "u", "new": "m"}))
    assert story.check_again_in == MINUTE


# What is asked changes.


def test_what_the_manifest_newly_requires_is_never_lost() -> None:
    """Missing from the first look at it, after a baseline without it: newly required, however long it was undecided."""
    story = Story()
    story.check(served({"jobs": "g"}))
    seen = [e for letter in "umm" for e in story.check(served({"jobs": "g", "offers": letter}, digest="e" * 16))]
    assert seen == ["newly_required:offers"]
    assert story.event.told_as is None
    assert story.check(served({"jobs": "g", "offers": "g"})) == ["regained:offers"]


def test_what_the_manifest_newly_requires_can_be_lost_later() -> None:
    """Once it was seen granted it is like any other."""
    story = Story()
    story.check(served({"jobs": "g"}))
    seen = [e for letter in "gmm" for e in story.check(served({"jobs": "g", "offers": letter}))]
    assert seen == ["lost:offers"]


def test_what_the_manifest_no_longer_holds_is_forgotten() -> None:
    """No event; it is trouble no more."""
    story = Story()
    story.check(served({"jobs": "m", "offers": "g"}))
    story.check(served({"jobs": "m", "offers": "g"}))
    assert story.check(served({"offers": "g"}, digest="e" * 16)) == []
    assert story.known.counts.missing == 0
    assert set(story.known.permissions) == {"offers"}


def test_what_is_declined_is_no_drift() -> None:
    """No event and no trouble, neither when it is missing nor when it comes back."""
    story = Story()
    seen = [e for letter in "gmmgmm" for e in story.check(served({"jobs": letter}, declined=["jobs"]))]
    assert seen == []
    assert story.known.outcome is Outcome.COMPLIANT


def test_declining_ends_a_trouble_quietly() -> None:
    """What was lost and is then declined is not missing any more; required again, it is found, not lost."""
    story = Story()
    story.checks("gmm")
    assert story.check(served({"jobs": "m"}, declined=["jobs"])) == []
    assert story.known.counts.missing == 0
    assert story.checks("mm") == ["found:jobs"]


def test_labels_follow_the_manifest() -> None:
    """A standing always has the words of the last manifest it was looked at under."""
    story = Story()
    story.checks("g")
    report = served({"jobs": "u"})
    story.check(replace(report, findings=(replace(report.findings[0], label="GET: List all jobs"),)))
    assert story.known.permissions["jobs"].label == "GET: List all jobs"


# Excess.


def test_excess_is_found_and_goes_in_one_look() -> None:
    """Certain or likely, said once; it goes when its endpoint is seen refused, not when a look is silent about it."""
    sure, likely = Excess("List x", "GET /v1/x", True), Excess("Put y", "PUT /v1/y/{id}", False)
    story = Story()
    assert story.check(served({"jobs": "g"}, excess=[sure, likely])) == [
        "excess_found:GET /v1/x",
        "excess_found:PUT /v1/y/{id}",
    ]
    assert story.change is not None
    assert [event.detail for event in story.change.events] == ["certain", "likely"]
    assert story.check(served({"jobs": "g"}, excess=[sure])) == []
    assert story.check(served({"jobs": "g"}, excess=[sure], no_excess=["PUT /v1/y/{id}"])) == [
        "excess_gone:PUT /v1/y/{id}"
    ]
    assert story.event.label == "Put y"
    assert set(story.known.excess) == {"GET /v1/x"}


def test_excess_that_is_required_by_now_is_none() -> None:
    """The manifest grew over it: it goes without an event."""
    story = Story()
    story.check(served({"jobs": "g"}, excess=[Excess("x", "GET /v1/offers", True)]))
    assert story.check(served({"jobs": "g", "offers": "g"})) == []
    assert story.known.excess == {}


def test_a_second_look_is_silent_about_excess() -> None:
    """A look at suspects asks nothing outside the manifest."""
    story = Story()
    story.check(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    story.check(served({"jobs": "m"}, partial=True))
    assert set(story.known.excess) == {"GET /v1/x"}


def _meaning(report: CheckReport, endpoint: str, scopes: tuple[str, ...] = ()) -> CheckReport:
    """The same report of a manifest whose permissions ask for this instead."""
    findings = tuple(replace(found, endpoint=endpoint, scopes=scopes) for found in report.findings)
    return replace(report, findings=findings, manifest_digest="e" * 16)


def test_another_meaning_under_the_same_id_is_never_a_loss() -> None:
    """Granted under the old meaning, missing under the new one: newly required, not lost."""
    story = Story()
    story.checks("g")
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["newly_required:jobs"]]


def test_what_was_suspect_under_the_old_meaning_is_no_suspicion_of_the_new_one() -> None:
    """Seen missing once, then the manifest changes: it takes two checks again."""
    story = Story()
    story.checks("gm")
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["newly_required:jobs"]]


def test_what_was_missing_under_the_old_meaning_is_not_regained_under_the_new_one() -> None:
    """The customer gave nothing back: something else is asked for."""
    story = Story()
    story.checks("gmm")
    assert story.check(_meaning(served({"jobs": "g"}), "GET /v1/offers")) == []


def test_a_loss_after_the_new_meaning_was_granted_is_a_loss() -> None:
    """The new meaning has a past of its own."""
    story = Story()
    story.checks("g")
    story.check(_meaning(served({"jobs": "g"}), "GET /v1/offers"))
    other = _meaning(served({"jobs": "m"}), "GET /v1/offers")
    assert [story.check(other), story.check(other)] == [[], ["lost:jobs"]]


def test_another_id_and_a_removed_permission_are_no_loss() -> None:
    """A renamed id is newly required where it is missing; the old one is forgotten without an event."""
    story = Story()
    story.check(served({"jobs": "g", "offers": "g"}))
    renamed = served({"positions": "m"}, digest="e" * 16)
    assert [story.check(renamed), story.check(renamed)] == [[], ["newly_required:positions"]]
    assert set(story.known.permissions) == {"positions"}


def test_scopes_mean_nothing_to_a_key_and_endpoints_nothing_to_a_client() -> None:
    """A manifest that lists other scopes changes nothing for a key of Harvest v1, whose loss is a loss."""
    story = Story()
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
    story = Story()
    story.checks("g")
    bare = {id_: replace(was, asked=None) for id_, was in story.known.permissions.items()}
    story.known = replace(story.known, permissions=bare)
    story.checks("m")
    assert story.known.permissions["jobs"].asked is not None
    story.checks("m")
    assert story.event.kind == EventKind.LOST
