"""What a look changes, rule by rule. test_drift_properties.py holds what must be true of any sequence of looks."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from checks.credential import CredentialState
from checks.report import CheckReport, Excess, Outcome, Verdict
from monitor.drift import Event, EventKind, Known, Tally, Turn, compare, difference
from tests.reports import HOUR, KEY, MINUTE, OTHER_KEY, POLICY, T0, failed, served

OK, INVALID, BLOCKED = CredentialState.OK, CredentialState.INVALID, CredentialState.BLOCKED
RETIRED, UNREACHABLE, MISCONFIGURED = (
    CredentialState.RETIRED,
    CredentialState.UNREACHABLE,
    CredentialState.MISCONFIGURED,
)


@dataclass
class Story:
    """Looks at one credential, one an hour, and what came of them."""

    known: Known = field(default_factory=Known)
    now: datetime = T0 - HOUR
    turn: Turn | None = None

    def look(self, report: CheckReport, fingerprint: str | None = KEY) -> list[str]:
        """The events of this look, as `kind:permission` or `kind:state`."""
        self.now += HOUR
        self.turn = compare(self.known, report, fingerprint, self.now, POLICY)
        self.known = self.turn.known
        return [f"{e.kind}:{e.permission_id or e.state}" for e in self.turn.events]

    def looks(self, letters: str) -> list[str]:
        """Full looks at the one permission `jobs`, a letter each; what happened in all of them."""
        return [event for letter in letters for event in self.look(served({"jobs": letter}))]

    @property
    def event(self) -> Event:
        assert self.turn is not None
        (event,) = self.turn.events
        return event

    @property
    def look_again(self) -> timedelta | None:
        assert self.turn is not None
        return self.turn.look_again


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
    assert Story().looks(looks) == events


def test_a_loss_happened_between_two_known_looks() -> None:
    """The window of a loss: the last look that saw it granted, and the first that did not."""
    story = Story()
    story.looks("gggumm")  # hours 0 to 5
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 2 * HOUR, T0 + 4 * HOUR)


def test_a_second_look_that_clears_a_suspicion_moves_the_window() -> None:
    """Granted in a look at suspects counts as seen granted, though it was no full look."""
    story = Story()
    story.looks("gm")
    story.look(served({"jobs": "g"}, partial=True))  # hour 2
    story.looks("mm")
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 2 * HOUR, T0 + 3 * HOUR)


def test_what_was_never_seen_granted_has_no_beginning() -> None:
    """Found at first sight: nobody knows since when."""
    story = Story()
    story.looks("mm")
    assert (story.event.seen_before, story.event.first_seen) == (None, T0)


def test_a_regain_happened_between_two_known_looks() -> None:
    """The window of a regain: the last look that saw it missing, and the one that saw it granted."""
    story = Story()
    story.looks("gmmmg")
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert story.event.told_as == EventKind.LOST


def test_a_second_look_decides_on_the_suspects_only() -> None:
    """Permissions that a partial look was not about stay as they were."""
    story = Story()
    story.look(served({"jobs": "g", "offers": "g", "users": "u"}))
    story.look(served({"jobs": "m", "offers": "g", "users": "u"}))
    before = story.known
    assert story.look(served({"jobs": "m"}, partial=True)) == ["lost:jobs"]
    assert {key: story.known.permissions[key] for key in ("offers", "users")} == {
        key: before.permissions[key] for key in ("offers", "users")
    }
    assert story.known.credential.last_full_at == before.credential.last_full_at


def test_only_what_turned_is_to_be_written() -> None:
    """A look that finds everything as it was leaves nothing to write about permissions or excess."""
    story = Story()
    report = served({"jobs": "g", "offers": "m", "users": "u"}, excess=[Excess("x", "GET /v1/x", True)])
    for _ in range(3):
        story.look(report)
    before = story.known
    story.look(report)
    assert difference(before.permissions, story.known.permissions) == ({}, frozenset())
    assert difference(before.excess, story.known.excess) == ({}, frozenset())


def test_an_undecided_stretch_keeps_its_first_moment_and_reason() -> None:
    """Since when it can not be told, and why at first; the last decided verdict stands beside it."""
    story = Story()
    story.looks("guu")
    standing = story.known.permissions["jobs"]
    assert (standing.verdict, standing.undecided_since) == (Verdict.GRANTED, T0 + HOUR)
    story.looks("g")
    assert story.known.permissions["jobs"].undecided_since is None


def test_what_can_not_be_told_and_then_not_be_checked_is_open_since_the_first() -> None:
    """Write probes switched off in an undecided stretch: another verdict, another reason, the same stretch."""
    story = Story()
    story.looks("gun")
    standing = story.known.permissions["jobs"]
    assert (standing.undecided_since, standing.undecided_as) == (T0 + HOUR, Verdict.NOT_CHECKABLE)


def test_the_baseline_is_the_first_full_look() -> None:
    """Later looks with the same secret do not move it."""
    story = Story()
    story.look(failed(UNREACHABLE))
    story.looks("mgu")
    assert story.known.credential.baseline_at == T0 + HOUR


def test_the_credential_counts_what_is_confirmed() -> None:
    """The tally and the outcome speak of confirmed standings; a suspicion is counted apart."""
    story = Story()
    report = served({"a": "g", "b": "m", "c": "u", "d": "n", "e": "g"}, excess=[Excess("x", "GET /v1/x", False)])
    story.look(report)
    before = story.known
    assert before.outcome is Outcome.UNDECIDED
    assert before.tally == Tally(granted=2, missing=0, undecided=1, unchecked=1, suspects=1, excess=1)
    story.look(report)
    assert story.known.outcome is Outcome.DRIFTED
    assert story.known.tally == Tally(granted=2, missing=1, undecided=1, unchecked=1, suspects=0, excess=1)


def test_a_suspicion_in_a_baseline_is_undecided() -> None:
    """Nothing is known yet of a permission seen missing once and never granted: neither drift nor compliance."""
    story = Story()
    story.looks("m")
    assert story.known.outcome is Outcome.UNDECIDED


def test_a_suspicion_against_what_was_granted_is_no_drift_yet() -> None:
    """The confirmed state stands meanwhile: a credential with one suspicion is still compliant."""
    story = Story()
    story.looks("gm")
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
    story.looks(looks)
    assert story.look_again == waits


def test_the_nearest_suspicion_sets_the_time() -> None:
    """A new suspicion does not wait for an old one."""
    story = Story()
    story.look(served({"old": "m", "new": "g"}))
    story.look(served({"old": "u", "new": "g"}))
    story.look(served({"old": "u", "new": "m"}))
    assert story.look_again == MINUTE


# The credential as a whole.


@pytest.mark.parametrize("state", [INVALID, BLOCKED, RETIRED, UNREACHABLE])
def test_a_failing_state_needs_two_looks(state: CredentialState) -> None:
    """One failing look is a suspicion with a look to follow; the second in a row is an event."""
    story = Story()
    story.looks("g")
    assert story.look(failed(state)) == []
    assert (story.known.credential.state, story.look_again) == (OK, MINUTE)
    assert story.look(failed(state, "why")) == [f"credential_failed:{state}"]
    assert (story.event.detail, story.event.seen_before, story.event.first_seen) == ("why", T0, T0 + HOUR)
    assert story.look(failed(state)) == []
    assert story.known.outcome is Outcome.FAILED


def test_misconfigured_is_known_at_once() -> None:
    """An unresolvable reference is a fact about our own files: no second look, and no fingerprint to compare."""
    story = Story()
    story.looks("g")
    assert story.look(failed(MISCONFIGURED, "env:X is not set"), fingerprint=None) == [
        "credential_failed:misconfigured"
    ]
    assert story.known.credential.fingerprint == KEY
    assert story.look(served({"jobs": "g"})) == ["recovered:misconfigured"]


def test_a_credential_recovers_in_one_look() -> None:
    """The event says what it recovered from, and since when it was known to fail."""
    story = Story()
    story.looks("g")
    for _ in range(3):
        story.look(failed(INVALID))
    assert story.look(served({"jobs": "g"})) == ["recovered:invalid"]
    assert (story.event.seen_before, story.event.first_seen) == (T0 + 3 * HOUR, T0 + 4 * HOUR)
    assert story.event.told_as == INVALID


@pytest.mark.parametrize(
    ("states", "events"),
    [
        ([INVALID, OK, INVALID], []),  # not running
        ([INVALID, BLOCKED], []),  # each seen once
        ([INVALID, UNREACHABLE, INVALID], []),  # an outage between confirms nothing
        ([INVALID, UNREACHABLE, UNREACHABLE], [UNREACHABLE]),
        ([RETIRED, UNREACHABLE, RETIRED, RETIRED], [RETIRED]),
        ([BLOCKED, BLOCKED, INVALID, INVALID], [BLOCKED, INVALID]),  # from one failing state to another
        ([BLOCKED, BLOCKED, INVALID, BLOCKED, INVALID], [BLOCKED]),
        ([BLOCKED, MISCONFIGURED], [MISCONFIGURED]),
    ],
)
def test_the_same_failure_must_show_twice_running(states: list[CredentialState], events: list[CredentialState]) -> None:
    """A look that fails differently starts the suspicion anew."""
    story = Story()
    seen = [e for state in states for e in story.look(served({"jobs": "g"}) if state is OK else failed(state))]
    assert seen == [f"credential_failed:{state}" for state in events]


def test_failures_that_keep_changing_are_looked_at_less_and_less_often() -> None:
    """The looks in a row are counted whatever they failed with, and the suspicion is as old as the first."""
    story = Story()
    story.looks("g")
    for state in (INVALID, BLOCKED, INVALID):
        story.look(failed(state))
    assert story.look_again == 4 * MINUTE
    assert story.known.credential.suspect_since == T0 + HOUR


def test_a_failed_look_decides_nothing_on_permissions() -> None:
    """Neither a standing nor a suspicion against a permission changes while the credential fails."""
    story = Story()
    story.look(served({"jobs": "m", "offers": "g"}))
    before = story.known.permissions
    story.look(failed(UNREACHABLE))
    story.look(failed(UNREACHABLE))
    assert story.known.permissions == before
    assert story.look_again is None  # suspicions wait until it is served again
    assert story.look(served({"jobs": "m", "offers": "g"})) == ["recovered:unreachable", "found:jobs"]


def test_a_recovery_knows_that_it_was_invalid_in_between() -> None:
    """Whoever was told of `invalid` is told of the end, though the last failing state was another."""
    story = Story()
    for state in (INVALID, INVALID, UNREACHABLE, UNREACHABLE):
        story.look(failed(state))
    assert story.look(served({"jobs": "g"})) == ["recovered:unreachable"]
    assert story.event.told_as == INVALID
    assert not story.known.credential.was_invalid


# A new secret.


def test_a_new_secret_begins_a_baseline() -> None:
    """What lacks under a new secret is found, never lost: two looks, like any absence."""
    story = Story()
    story.looks("ggg")
    assert story.look(served({"jobs": "m"}), OTHER_KEY) == ["replaced:None"]
    assert story.known.credential.baseline_at == story.now
    assert story.look(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert story.event.told_as is None


def test_the_first_secret_replaces_nothing() -> None:
    """There is no event for the first fingerprint ever seen."""
    assert Story().look(served({"jobs": "g"})) == []


def test_excess_and_suspicions_of_the_old_secret_are_forgotten() -> None:
    """The new secret answers for itself only."""
    story = Story()
    story.look(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    story.look(failed(INVALID))
    story.look(failed(INVALID), OTHER_KEY)
    assert (story.known.permissions, story.known.excess) == ({}, {})
    assert (story.known.credential.state, story.known.credential.suspect_looks) == (OK, 1)
    assert story.turn is not None
    assert story.turn.replaced


@pytest.mark.parametrize(
    ("before", "told_as"),
    [
        ("gmm", EventKind.LOST),
        ("mm", EventKind.FOUND),
    ],
)
def test_an_absence_is_carried_over_to_a_new_secret(before: str, told_as: EventKind) -> None:
    """Missing under the old secret: it is found again, or regained, and either way it is known how it was told."""
    story = Story()
    story.looks(before)
    story.look(served({"jobs": "m"}), OTHER_KEY)
    assert (story.known.tally.missing, story.known.tally.carried) == (0, 1)
    assert story.look(served({"jobs": "m"}), OTHER_KEY) == ["found:jobs"]
    assert story.event.told_as == told_as
    assert story.look(served({"jobs": "g"}), OTHER_KEY) == ["regained:jobs"]
    assert story.event.told_as == told_as


def test_a_replacement_that_mends_is_a_regain() -> None:
    """Lost under the old secret, granted under the new one: the loss has its end."""
    story = Story()
    story.looks("gmm")
    assert story.look(served({"jobs": "g"}), OTHER_KEY) == ["replaced:None", "regained:jobs"]


def test_an_absence_is_carried_over_two_replacements() -> None:
    """A second new secret before anything was decided does not lose it."""
    story = Story()
    story.looks("gmm")
    story.look(failed(UNREACHABLE), OTHER_KEY)
    assert story.look(served({"jobs": "g"}), "c" * 16) == ["replaced:None", "regained:jobs"]


def test_a_look_at_suspects_with_a_new_secret_is_no_baseline() -> None:
    """The key was replaced between look and confirmation: a full look follows at once, and decides."""
    story = Story()
    story.look(served({"jobs": "m", "offers": "g"}))
    assert story.look(served({"jobs": "m"}, partial=True), OTHER_KEY) == ["replaced:None"]
    assert story.look_again == timedelta(0)
    assert story.known.permissions == {}
    assert story.known.credential.baseline_at is None


def test_refusals_are_remembered_of_looks_that_decide() -> None:
    """A look's refusals are controls for later ones; a failed look has none."""
    story = Story()
    story.look(served({"jobs": "m", "offers": "g"}))
    assert story.turn is not None
    assert story.turn.refused == {"GET /v1/jobs"}
    story.look(replace(failed(BLOCKED), refused=frozenset({"GET /v1/jobs"})))
    assert story.turn.refused == frozenset()


# What is asked changes.


def test_what_the_manifest_newly_requires_is_never_lost() -> None:
    """Missing from the first look at it, after a baseline without it: newly required, however long it was undecided."""
    story = Story()
    story.look(served({"jobs": "g"}))
    seen = [e for letter in "umm" for e in story.look(served({"jobs": "g", "offers": letter}, digest="e" * 16))]
    assert seen == ["newly_required:offers"]
    assert story.event.told_as is None
    assert story.look(served({"jobs": "g", "offers": "g"})) == ["regained:offers"]


def test_what_the_manifest_newly_requires_can_be_lost_later() -> None:
    """Once it was seen granted it is like any other."""
    story = Story()
    story.look(served({"jobs": "g"}))
    seen = [e for letter in "gmm" for e in story.look(served({"jobs": "g", "offers": letter}))]
    assert seen == ["lost:offers"]


def test_what_the_manifest_no_longer_holds_is_forgotten() -> None:
    """No event; it is trouble no more."""
    story = Story()
    story.look(served({"jobs": "m", "offers": "g"}))
    story.look(served({"jobs": "m", "offers": "g"}))
    assert story.look(served({"offers": "g"}, digest="e" * 16)) == []
    assert story.known.tally.missing == 0
    assert set(story.known.permissions) == {"offers"}


def test_what_is_declined_is_no_drift() -> None:
    """No event and no trouble, neither when it is missing nor when it comes back."""
    story = Story()
    seen = [e for letter in "gmmgmm" for e in story.look(served({"jobs": letter}, declined=["jobs"]))]
    assert seen == []
    assert story.known.outcome is Outcome.COMPLIANT


def test_declining_ends_a_trouble_quietly() -> None:
    """What was lost and is then declined is not missing any more; required again, it is found, not lost."""
    story = Story()
    story.looks("gmm")
    assert story.look(served({"jobs": "m"}, declined=["jobs"])) == []
    assert story.known.tally.missing == 0
    assert story.looks("mm") == ["found:jobs"]


def test_labels_follow_the_manifest() -> None:
    """A standing always has the words of the last manifest it was looked at under."""
    story = Story()
    story.looks("g")
    report = served({"jobs": "u"})
    story.look(replace(report, findings=(replace(report.findings[0], label="GET: List all jobs"),)))
    assert story.known.permissions["jobs"].label == "GET: List all jobs"


# Excess.


def test_excess_is_found_and_goes_in_one_look() -> None:
    """Certain or likely, said once; it goes when its endpoint is seen refused, not when a look is silent about it."""
    sure, likely = Excess("List x", "GET /v1/x", True), Excess("Put y", "PUT /v1/y/{id}", False)
    story = Story()
    assert story.look(served({"jobs": "g"}, excess=[sure, likely])) == [
        "excess_found:GET /v1/x",
        "excess_found:PUT /v1/y/{id}",
    ]
    assert story.turn is not None
    assert [event.detail for event in story.turn.events] == ["certain", "likely"]
    assert story.look(served({"jobs": "g"}, excess=[sure])) == []
    assert story.look(served({"jobs": "g"}, excess=[sure], no_excess=["PUT /v1/y/{id}"])) == [
        "excess_gone:PUT /v1/y/{id}"
    ]
    assert story.event.label == "Put y"
    assert set(story.known.excess) == {"GET /v1/x"}


def test_excess_that_is_required_by_now_is_none() -> None:
    """The manifest grew over it: it goes without an event."""
    story = Story()
    story.look(served({"jobs": "g"}, excess=[Excess("x", "GET /v1/offers", True)]))
    assert story.look(served({"jobs": "g", "offers": "g"})) == []
    assert story.known.excess == {}


def test_a_second_look_is_silent_about_excess() -> None:
    """A look at suspects asks nothing outside the manifest."""
    story = Story()
    story.look(served({"jobs": "m"}, excess=[Excess("x", "GET /v1/x", True)]))
    story.look(served({"jobs": "m"}, partial=True))
    assert set(story.known.excess) == {"GET /v1/x"}
