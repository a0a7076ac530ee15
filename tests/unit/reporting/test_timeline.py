"""A tenant's past as spans: what was missing from when to when, by group."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from checks.report import Verdict
from monitor.drift import EventKind, KnownPermission
from monitor.incidents.history_queries import PastEvent
from monitor.reporting.timeline import Band, CredentialPast, Span, SpanKind, bands_of

NOW = datetime(2026, 6, 12, 14, tzinfo=UTC)
BEGIN = NOW - timedelta(days=90)
KEY = "Gem Harvest API Key"
GRANTED = KnownPermission("Offers", "GET: List offers", Verdict.GRANTED, since=BEGIN - timedelta(days=9))


def at(days: float) -> datetime:
    return NOW - timedelta(days=days)


def an_event(kind: EventKind, when: datetime, permission: str | None = "offers", state: str | None = None) -> PastEvent:
    return PastEvent(
        id=1,
        at=when,
        kind=kind,
        tenant_id="acme",
        tenant_name="Acme",
        credential_label=KEY,
        permission_id=permission,
        permission_group="Offers" if permission else None,
        permission_label="GET: List offers" if permission else None,
        mapping=None,
        rule=None,
        state=state,
        detail="",
        seen_before=when - timedelta(hours=4),
        first_seen=when,
        incident_id=None,
    )


def bands(known: KnownPermission, *events: PastEvent, **more: object) -> dict[str, Band]:
    past = CredentialPast(KEY, {"offers": known}, list(events), **more)  # type: ignore[arg-type]
    return {band.name: band for band in bands_of(past, ["Offers", "EEOC"], ["EEOC"], BEGIN)}


def test_a_loss_lasts_until_the_check_that_saw_it_restored() -> None:
    """From the first check that saw it missing."""
    lost, back = an_event(EventKind.LOST, at(9)), an_event(EventKind.REGAINED, at(7))
    assert bands(GRANTED, lost, back)["Offers"].spans == (Span(SpanKind.MISSING, at(9), at(7), "GET: List offers"),)


def test_what_is_missing_now_has_no_end() -> None:
    """And what was missing before the picture begins, begins with it."""
    missing = KnownPermission("Offers", "GET: List offers", Verdict.MISSING, since=at(3))
    (span,) = bands(missing, an_event(EventKind.LOST, at(3)))["Offers"].spans
    assert (span.begin, span.end) == (at(3), None)
    old = KnownPermission("Offers", "GET: List offers", Verdict.MISSING, since=at(200))
    (span,) = bands(old)["Offers"].spans
    assert (span.begin, span.end) == (BEGIN, None)


def test_a_return_whose_loss_lies_before_the_picture_begins_with_it() -> None:
    """The loss is out of sight, but not unknown."""
    (span,) = bands(GRANTED, an_event(EventKind.REGAINED, at(80)))["Offers"].spans
    assert (span.begin, span.end) == (BEGIN, at(80))


def test_a_replaced_secret_ends_what_was_known() -> None:
    """Nobody saw the permission again under the new one."""
    lost, replaced = an_event(EventKind.LOST, at(9)), an_event(EventKind.REPLACED, at(5), permission=None)
    (span,) = bands(GRANTED, lost, replaced)["Offers"].spans
    assert span.end == at(5)


def test_a_failing_credential_has_a_band_of_its_own() -> None:
    """Named by its label, and apart from the groups."""
    failed = an_event(EventKind.CREDENTIAL_FAILED, at(9), None, "invalid")
    back = an_event(EventKind.RECOVERED, at(8), None, "invalid")
    found = bands(GRANTED, failed, back)
    assert found[KEY].spans == (Span(SpanKind.MISSING, at(9), at(8), "invalid"),)
    assert found["Offers"].spans == ()
    (now,) = bands(GRANTED, failed, failing_since=at(9), state="invalid")[KEY].spans
    assert (now.begin, now.end, now.what) == (at(9), None, "invalid")


def test_doubt_and_refusal_on_purpose_are_spans_of_their_own() -> None:
    """Suspect, undecided and declined are told apart from missing."""
    suspect = KnownPermission("Offers", "GET: List offers", Verdict.GRANTED, suspect_since=at(0.1))
    undecided = KnownPermission("Offers", "GET: List offers", undecided_as=Verdict.UNDECIDED, undecided_since=at(4))
    assert [span.kind for span in bands(suspect)["Offers"].spans] == [SpanKind.SUSPECT]
    assert [span.kind for span in bands(undecided)["Offers"].spans] == [SpanKind.UNDECIDED]
    (declined,) = bands(GRANTED, declined={"GET: List offers": date(2026, 5, 2)})["Offers"].spans
    assert (declined.kind, declined.begin.date()) == (SpanKind.DECLINED, date(2026, 5, 2))


def test_a_feature_that_the_tenant_does_not_have_is_not_asked_for() -> None:
    """Its band is there, and says so."""
    assert not bands(GRANTED)["EEOC"].asked
    assert bands(GRANTED)["Offers"].asked


@given(st.lists(st.tuples(st.sampled_from(list(EventKind)), st.floats(0, 90)), max_size=12))
def test_no_span_ends_before_it_begins_or_begins_before_the_picture(drawn: list[tuple[EventKind, float]]) -> None:
    """Whatever the order of events, such as after a clock was set or a history was cut."""
    events = sorted((an_event(kind, at(days)) for kind, days in drawn), key=lambda event: event.at)
    for band in bands(GRANTED, *events).values():
        for span in band.spans:
            assert span.begin >= BEGIN
            assert span.end is None or span.end >= span.begin
