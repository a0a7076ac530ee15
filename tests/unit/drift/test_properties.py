"""What holds for any sequence of looks at a credential."""

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
class Taken:
    """One look of a sequence, with what was known before it."""

    report: CheckReport
    fingerprint: str
    before: Known
    change: Change
    now: datetime


def walk(sequence: list[tuple[CheckReport, str]]) -> Iterator[Taken]:
    known = Known()
    for number, (report, fingerprint) in enumerate(sequence):
        now = T0 + number * HOUR
        change = compare(known, report, fingerprint, now, POLICY)
        yield Taken(report, fingerprint, known, change, now)
        known = change.known


def events_of(sequence: list[tuple[CheckReport, str]]) -> list[Event]:
    return [event for taken in walk(sequence) for event in taken.change.events]


@given(sequences)
def test_lost_was_granted_under_the_same_secret(sequence: list[tuple[CheckReport, str]]) -> None:
    """Nothing is worded as lost that this very secret was not seen to have; so a baseline never loses anything."""
    granted: set[str] = set()
    for taken in walk(sequence):
        if taken.change.replaced:
            granted.clear()
        for event in taken.change.events:
            assert event.kind is not EventKind.LOST or event.permission_id in granted
        if taken.report.state is CredentialState.OK and not (taken.change.replaced and taken.report.partial):
            granted |= {f.permission_id for f in taken.report.findings if f.verdict is Verdict.GRANTED}


@given(sequences)
def test_beginnings_and_ends_alternate(sequence: list[tuple[CheckReport, str]]) -> None:
    """Per permission a trouble begins, and ends before the next begins; only a new secret may find it once more."""
    for permission in PERMISSIONS:
        stands = False
        for event in events_of(sequence):
            if event.permission_id != permission:
                continue
            assert stands == (event.kind is EventKind.REGAINED or event.told_as is not None)
            stands = event.kind in BEGINNINGS


@given(sequences)
def test_each_audience_hears_of_the_end_of_what_it_heard_the_beginning_of(
    sequence: list[tuple[CheckReport, str]],
) -> None:
    """Who is told that a permission is back was told that it was missing, once; nobody hears twice of a beginning."""
    told: dict[str | None, Audience] = {}
    for event in events_of(sequence):
        for cause in causes(event) if event.permission_id is not None else ():
            if event.kind in BEGINNINGS:
                assert event.permission_id not in told
                told[event.permission_id] = cause.audience
            else:
                assert told.pop(event.permission_id) is cause.audience


@given(sequences)
def test_the_csm_hears_of_invalid_and_its_end_in_turn(sequence: list[tuple[CheckReport, str]]) -> None:
    """Every recovery from a stretch that was invalid reaches the CSM, and no other does; no other state ever does."""
    invalid = False
    for event in events_of(sequence):
        if event.permission_id is None and event.kind is not EventKind.REPLACED:
            hears = Audience.CSM in [cause.audience for cause in causes(event)]
            if event.kind is EventKind.RECOVERED:
                assert hears == invalid
                invalid = False
            else:
                assert hears == (event.state is CredentialState.INVALID)
                invalid = invalid or hears


@given(sequences)
def test_the_events_tell_the_stored_state(sequence: list[tuple[CheckReport, str]]) -> None:
    """Replayed from the beginning, the events give what is stored as missing or carried, and the credential's state."""
    missing: set[str | None] = set()
    state = CredentialState.OK
    for taken in walk(sequence):
        for event in taken.change.events:
            if event.kind in BEGINNINGS:
                missing.add(event.permission_id)
            elif event.kind is EventKind.REGAINED:
                missing.discard(event.permission_id)
            elif event.kind is EventKind.CREDENTIAL_FAILED and event.state is not None:
                state = event.state
            elif event.kind is EventKind.RECOVERED:
                state = CredentialState.OK
        standings = taken.change.known.permissions
        assert missing == {id_ for id_, standing in standings.items() if standing.missing or standing.carried}
        assert state is taken.change.known.credential.state


@given(sequences, _full)
def test_the_same_report_again_and_again_falls_silent(
    sequence: list[tuple[CheckReport, str]], report: CheckReport
) -> None:
    """Two looks settle whatever there is to settle; a third of the same says nothing new."""
    repeated = [(report, KEY)] * 3
    *_, third = walk(sequence + repeated)
    assert third.change.events == ()


@given(sequences, st.lists(st.builds(lambda: served(dict.fromkeys(PERMISSIONS, "u"))), min_size=1, max_size=5))
def test_undecided_changes_no_verdict(sequence: list[tuple[CheckReport, str]], undecided: list[CheckReport]) -> None:
    """However often it cannot be told, the last known verdict stands."""
    settled = [*sequence, (served(dict.fromkeys(PERMISSIONS, "g")), KEY)]
    *_, last = walk(settled + [(report, KEY) for report in undecided])
    verdicts = {standing.verdict for standing in last.change.known.permissions.values()}
    assert verdicts == {Verdict.GRANTED}
    assert last.change.events == ()


@given(sequences)
def test_confirmed_verdicts_rest_on_looks(sequence: list[tuple[CheckReport, str]]) -> None:
    """A stored verdict changes only in a look that says the same; missing only where it was suspect before."""
    for taken in walk(sequence):
        found = {f.permission_id: f.verdict for f in taken.report.findings}
        for id_, standing in taken.change.known.permissions.items():
            was = taken.before.permissions.get(id_)
            if standing.verdict is None or (was is not None and was.verdict is standing.verdict):
                continue
            assert found[id_] is standing.verdict
            assert standing.verdict is Verdict.GRANTED or (was is not None and was.suspect)


@given(sequences)
def test_a_window_begins_before_it_ends(sequence: list[tuple[CheckReport, str]]) -> None:
    """What was seen before an event lies before what was first seen of it, and neither in the future."""
    for taken in walk(sequence):
        for event in taken.change.events:
            assert event.first_seen is not None
            assert event.first_seen <= taken.now
            assert event.seen_before is None or event.seen_before < event.first_seen


@given(sequences)
def test_every_suspicion_asks_for_a_look(sequence: list[tuple[CheckReport, str]]) -> None:
    """As long as something is suspect that a look can settle, the next look is sooner than or at the interval."""
    for taken in walk(sequence):
        after = taken.change.known
        served_now = taken.report.state is CredentialState.OK
        pending = after.credential.suspect_state is not None or (served_now and after.counts.suspects > 0)
        too_narrow = taken.change.replaced and taken.report.partial and served_now
        assert (taken.change.check_again_in is not None) == (pending or too_narrow)
        assert taken.change.check_again_in is None or taken.change.check_again_in <= POLICY.interval


@given(sequences, st.booleans(), st.sampled_from([KEY, OTHER_KEY, None]))
def test_a_paused_check_is_no_look(
    sequence: list[tuple[CheckReport, str]], partial: bool, fingerprint: str | None
) -> None:
    """Whatever is known stays known as it was, no secret counts as replaced, and the look is to be made at once."""
    known = Known()
    for taken in walk(sequence):
        known = taken.change.known
    change = compare(known, paused(PERMISSIONS, partial=partial), fingerprint, T0 + 100 * HOUR, POLICY)
    assert change == Change(known, (), frozenset(), replaced=False, check_again_in=timedelta(0))
