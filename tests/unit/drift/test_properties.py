"""What holds for any sequence of checks of a credential."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from checks.credential import CredentialState
from checks.report import CheckReport, Verdict
from monitor.drift import Change, Event, EventKind, Known, compare
from monitor.incidents.rules import Audience, causes
from tests.reports import HOUR, KEY, OTHER_KEY, POLICY, T0, failed, paused, served

PERMISSIONS = ("jobs", "offers", "users")
BEGINNINGS = {EventKind.FOUND, EventKind.LOST, EventKind.NEWLY_REQUIRED}

_verdicts = st.fixed_dictionaries({permission: st.sampled_from("gmun") for permission in PERMISSIONS})
_full = st.builds(served, _verdicts)
_partial = st.builds(
    lambda verdicts, only: served({key: verdicts[key] for key in only}, partial=True),
    _verdicts,
    st.sets(st.sampled_from(PERMISSIONS), min_size=1),
)
_failed = st.builds(failed, st.sampled_from([state for state in CredentialState if state is not CredentialState.OK]))
_steps = st.tuples(st.one_of(_full, _full, _partial, _failed), st.sampled_from([KEY, KEY, KEY, OTHER_KEY]))
sequences = st.lists(_steps, max_size=25)


@dataclass(frozen=True)
class CheckStep:
    """One check of a sequence, with what was known before it."""

    report: CheckReport
    fingerprint: str
    before: Known
    change: Change
    now: datetime


def steps(sequence: list[tuple[CheckReport, str]]) -> Iterator[CheckStep]:
    known = Known()
    for number, (report, fingerprint) in enumerate(sequence):
        now = T0 + number * HOUR
        change = compare(known, report, fingerprint, now, POLICY)
        yield CheckStep(report, fingerprint, known, change, now)
        known = change.known


def events_of(sequence: list[tuple[CheckReport, str]]) -> list[Event]:
    return [event for step in steps(sequence) for event in step.change.events]


@given(sequences)
def test_lost_was_granted_under_the_same_secret(sequence: list[tuple[CheckReport, str]]) -> None:
    """Lost is only what this secret was seen to have, so a baseline never loses anything."""
    granted: set[str] = set()
    for step in steps(sequence):
        if step.change.replaced:
            granted.clear()
        for event in step.change.events:
            assert event.kind is not EventKind.LOST or event.permission_id in granted
        if step.report.state is CredentialState.OK and not (step.change.replaced and step.report.partial):
            granted |= {f.permission_id for f in step.report.findings if f.verdict is Verdict.GRANTED}


@given(sequences)
def test_beginnings_and_ends_alternate(sequence: list[tuple[CheckReport, str]]) -> None:
    """A permission goes missing, is regained, goes missing again; only a new secret may find it missing twice."""
    for permission in PERMISSIONS:
        missing = False
        for event in events_of(sequence):
            if event.permission_id != permission:
                continue
            assert missing == (event.kind is EventKind.REGAINED or event.notified_as is not None)
            missing = event.kind in BEGINNINGS


@given(sequences)
def test_the_audience_of_a_loss_is_the_audience_of_its_regain(
    sequence: list[tuple[CheckReport, str]],
) -> None:
    """Each audience is notified of a missing permission once, and only then that it is back."""
    notified: dict[str | None, Audience] = {}
    for event in events_of(sequence):
        for cause in causes(event) if event.permission_id is not None else ():
            if event.kind in BEGINNINGS:
                assert event.permission_id not in notified
                notified[event.permission_id] = cause.audience
            else:
                assert notified.pop(event.permission_id) is cause.audience


@given(sequences)
def test_the_csm_is_notified_of_invalid_and_its_recovery(sequence: list[tuple[CheckReport, str]]) -> None:
    """The CSM is notified of a secret that stopped working and of each recovery after it, and of nothing else."""
    invalid = False
    for event in events_of(sequence):
        if event.permission_id is None and event.kind is not EventKind.REPLACED:
            notified = Audience.CSM in [cause.audience for cause in causes(event)]
            if event.kind is EventKind.RECOVERED:
                assert notified == invalid
                invalid = False
            else:
                ended = event.kind is EventKind.CREDENTIAL_FAILED and event.state is CredentialState.INVALID
                assert notified == ended
                invalid = invalid or notified


@given(sequences)
def test_the_events_add_up_to_the_stored_state(sequence: list[tuple[CheckReport, str]]) -> None:
    """Replayed from the beginning, they give what is stored as missing or carried, and the credential's state."""
    missing: set[str | None] = set()
    state = CredentialState.OK
    for step in steps(sequence):
        for event in step.change.events:
            if event.state is not None:
                state = CredentialState.OK if event.kind is EventKind.RECOVERED else event.state
            elif event.kind in BEGINNINGS:
                missing.add(event.permission_id)
            elif event.kind is EventKind.REGAINED:
                missing.discard(event.permission_id)
        permissions = step.change.known.permissions
        assert missing == {id_ for id_, known in permissions.items() if known.missing or known.carried}
        assert state is step.change.known.credential.state


@given(sequences, _full)
def test_the_third_of_three_equal_reports_has_no_event(
    sequence: list[tuple[CheckReport, str]], report: CheckReport
) -> None:
    """Two equal reports settle everything; a third has nothing new."""
    repeated = [(report, KEY)] * 3
    *_, third = steps(sequence + repeated)
    assert third.change.events == ()


@given(sequences, st.lists(st.builds(lambda: served(dict.fromkeys(PERMISSIONS, "u"))), min_size=1, max_size=5))
def test_undecided_changes_no_verdict(sequence: list[tuple[CheckReport, str]], undecided: list[CheckReport]) -> None:
    """However often a permission is undecided, its last known verdict is kept."""
    settled = [*sequence, (served(dict.fromkeys(PERMISSIONS, "g")), KEY)]
    *_, last = steps(settled + [(report, KEY) for report in undecided])
    verdicts = {known.verdict for known in last.change.known.permissions.values()}
    assert verdicts == {Verdict.GRANTED}
    assert last.change.events == ()


@given(sequences)
def test_a_stored_verdict_changes_only_by_a_check_that_says_so(sequence: list[tuple[CheckReport, str]]) -> None:
    """Any new verdict is that of the check; missing is stored only if the permission was suspect before."""
    for step in steps(sequence):
        found = {f.permission_id: f.verdict for f in step.report.findings}
        for id_, known in step.change.known.permissions.items():
            was = step.before.permissions.get(id_)
            if known.verdict is None or (was is not None and was.verdict is known.verdict):
                continue
            assert found[id_] is known.verdict
            assert known.verdict is Verdict.GRANTED or (was is not None and was.suspect)


@given(sequences)
def test_a_window_begins_before_it_ends(sequence: list[tuple[CheckReport, str]]) -> None:
    """`seen_before` of an event is earlier than `first_seen`, and neither is in the future."""
    for step in steps(sequence):
        for event in step.change.events:
            assert event.first_seen is not None
            assert event.first_seen <= step.now
            assert event.seen_before is None or event.seen_before < event.first_seen


@given(sequences)
def test_every_suspicion_asks_for_a_check(sequence: list[tuple[CheckReport, str]]) -> None:
    """While something is suspect that a check can settle, the next check is no later than after one interval."""
    for step in steps(sequence):
        after = step.change.known
        served_now = step.report.state is CredentialState.OK
        pending = after.credential.suspect_state is not None or (served_now and after.counts.suspects > 0)
        too_narrow = step.change.replaced and step.report.partial and served_now
        assert (step.change.check_again_in is not None) == (pending or too_narrow)
        assert step.change.check_again_in is None or step.change.check_again_in <= POLICY.interval


@given(sequences, st.booleans(), st.sampled_from([KEY, OTHER_KEY, None]))
def test_a_paused_check_changes_nothing(
    sequence: list[tuple[CheckReport, str]], partial: bool, fingerprint: str | None
) -> None:
    """What is known stays as it was, no secret counts as replaced, and the check is to be repeated at once."""
    known = Known()
    for step in steps(sequence):
        known = step.change.known
    change = compare(known, paused(PERMISSIONS, partial=partial), fingerprint, T0 + 100 * HOUR, POLICY)
    assert change == Change(known, (), frozenset(), replaced=False, check_again_in=timedelta(0))
