"""A timeline as shapes: within the picture, and the last 48 hours on a scale of their own."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.reporting.timeline import Band, CheckedDay, IncidentSpan, SentEmail, Span, SpanKind, Timeline
from monitor.web.timeline_drawing import LEFT, MOST_SHAPES, RIGHT, drawn

NOW = datetime(2026, 6, 12, 14, 21, tzinfo=UTC)
BEGIN = NOW - timedelta(days=90)


def a_timeline(*spans: Span, days: int = 90, **more: object) -> Timeline:
    return Timeline(NOW - timedelta(days=days), NOW, (Band("Offers", spans),), **more)  # type: ignore[arg-type]


def missing(begin: datetime, end: datetime | None = None) -> Span:
    return Span(SpanKind.MISSING, begin, end, "GET: List offers")


def test_this_nights_event_can_be_seen() -> None:
    """Four hours take at least two per cent of the picture's width; on one scale they would take a fifth of one."""
    (shape,) = [s for s in drawn(a_timeline(missing(NOW - timedelta(hours=4)))).shapes if s.kind == "band-missing"]
    assert shape.width > 2
    assert shape.end == 100


def test_a_span_over_the_change_of_scale_is_drawn_on_both_sides() -> None:
    """With nothing between them, where no time is."""
    left, right = [s for s in drawn(a_timeline(missing(NOW - timedelta(days=9)))).shapes if s.kind == "band-missing"]
    assert (left.end, right.x) == (LEFT, RIGHT)


def test_no_line_is_drawn_where_nobody_checked() -> None:
    """A day without checks is a gap."""
    days = tuple(CheckedDay((BEGIN + timedelta(days=n)).date(), 6, 6) for n in range(90) if n not in (30, 31))
    lines = [s for s in drawn(Timeline(BEGIN, NOW, (Band("Offers"),), days=days)).shapes if s.kind == "lines"]
    assert len(lines) == 3, "before the gap, after it, and beyond the change of scale"


def test_emails_upon_each_other_are_one_that_names_both() -> None:
    """None is hidden behind another."""
    emails = (SentEmail(1, "sent", NOW - timedelta(hours=1)), SentEmail(2, "held", NOW - timedelta(minutes=50)))
    (envelope,) = [s for s in drawn(a_timeline(emails=emails)).shapes if s.kind == "envelope"]
    assert "email 1" in envelope.title
    assert "email 2" in envelope.title


def test_too_many_spans_are_drawn_coarsely_and_it_is_said() -> None:
    """A tenant with thousands of changes has a page, too."""
    spans = [missing(BEGIN + timedelta(hours=n), BEGIN + timedelta(hours=n, minutes=30)) for n in range(2000)]
    drawing = drawn(a_timeline(*spans))
    assert drawing.is_coarse
    assert sum(s.kind == "band-missing" for s in drawing.shapes) <= MOST_SHAPES


def test_days_alike_are_one_bar() -> None:
    """A year of checks has hundreds of days; those in a row with the same counts are drawn, and said, as one."""
    days = tuple(
        CheckedDay((BEGIN + timedelta(days=n)).date(), 6, 5 if n == 40 else 6) for n in range(1, 80) if n != 30
    )
    bars = [s for s in drawn(Timeline(BEGIN, NOW, (Band("Offers"),), days=days)).shapes if s.kind == "checks"]
    assert [bar.title for bar in bars] == [
        "2026-03-15 to 2026-04-12, each day: 6 of 6 checks answered",
        "2026-04-14 to 2026-04-22, each day: 6 of 6 checks answered",
        "2026-04-23: 5 of 6 checks answered",
        "2026-04-24 to 2026-06-01, each day: 6 of 6 checks answered",
    ]


@given(
    st.lists(st.tuples(st.sampled_from(list(SpanKind)), st.floats(0, 400), st.floats(0, 400)), max_size=20),
    st.sampled_from([1, 2, 7, 90, 366]),
)
def test_every_shape_is_within_the_picture(spans: list[tuple[SpanKind, float, float]], days: int) -> None:
    """Whatever the spans, and for every range."""
    found = tuple(
        Span(kind, NOW - timedelta(days=max(a, b)), NOW - timedelta(days=min(a, b)), "x") for kind, a, b in spans
    )
    incidents = (IncidentSpan(1, NOW - timedelta(days=200), None),)
    drawing = drawn(a_timeline(*found, days=days, incidents=incidents, emails=(SentEmail(1, "sent", NOW),)))
    for shape in drawing.shapes:
        assert -0.01 <= shape.x <= 100, shape
        assert shape.width >= 0, shape
        assert shape.end <= 100.5, shape
        assert 0 <= shape.y < drawing.height, shape
