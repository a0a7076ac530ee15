"""A timeline as shapes: x in per cent of the picture's width, y in pixels, so that it stretches and its text does not.

Two scales on one axis: the last 48 hours take the right 30 %, all before them the left 68 %. On a single scale the
event of this night would be two pixels wide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from monitor.reporting.timeline import Band, CheckedDay, Span, SpanKind, Timeline

RECENT = timedelta(hours=48)
LEFT, RIGHT = 68.0, 70.0
ROW = 15
TOP = 20
MOST_SHAPES = 100
_NARROWEST = 0.45  # per cent: about 4 pixels on a wide screen
_GAPS = (0.5, 1, 2, 4)  # per cent
_FULL_DAY = 6  # checks: a bar of full height
_ORDER = (SpanKind.DECLINED, SpanKind.UNDECIDED, SpanKind.SUSPECT, SpanKind.MISSING)
_HEAD_ROWS = 3


@dataclass(frozen=True, slots=True)
class Shape:
    kind: str
    x: float
    width: float
    y: float
    height: float
    title: str = ""

    @property
    def end(self) -> float:
        return self.x + self.width

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Row:
    """`hot` rows have trouble now."""

    name: str
    hot: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    label: str
    at: datetime
    roomy: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    rows: tuple[Row, ...]
    shapes: tuple[Shape, ...]
    marks: tuple[Mark, ...]
    height: int
    is_coarse: bool


def drawn(timeline: Timeline) -> Drawing:
    axis = _Axis(timeline.begin, timeline.now)
    spans = [shape for place, band in enumerate(timeline.bands) for shape in _band(axis, place + _HEAD_ROWS, band)]
    head = list(_head(axis, timeline))
    is_coarse = len(spans) + len(head) > MOST_SHAPES
    shapes = [*_lines(axis, timeline), *(_coarse(head) if is_coarse else head), *_checks(axis, timeline)]
    shapes += _coarse(spans) if is_coarse else spans
    rows = (Row("Incidents"), Row("Emails"), Row("Checks"), *(_row(band) for band in timeline.bands))
    return Drawing(rows, tuple(shapes), tuple(_marks(axis)), TOP + ROW * len(rows) + 4, is_coarse)


@dataclass(frozen=True, slots=True)
class _Axis:
    begin: datetime
    now: datetime

    @property
    def cut(self) -> datetime:
        return max(self.begin, self.now - RECENT)

    def x(self, at: datetime) -> float:
        at = min(max(at, self.begin), self.now)
        if at < self.cut:
            return round(LEFT * ((at - self.begin) / (self.cut - self.begin)), 2)
        return round(RIGHT + (100 - RIGHT) * ((at - self.cut) / (self.now - self.cut)), 2)

    def pieces(self, begin: datetime, end: datetime) -> Iterable[tuple[float, float]]:
        """Begin and width; a span over the cut is drawn in two pieces."""
        if begin < self.cut < end:
            yield self.x(begin), LEFT - self.x(begin)
            begin = self.cut
        end_x = LEFT if end == self.cut and begin < self.cut else self.x(end)
        yield self.x(begin), end_x - self.x(begin)


def _row(band: Band) -> Row:
    return Row(band.name, any(span.end is None and span.kind is not SpanKind.DECLINED for span in band.spans))


def _y(place: int) -> float:
    return TOP + ROW * place


def _band(axis: _Axis, place: int, band: Band) -> Iterable[Shape]:
    # The worst is drawn last, on top.
    for span in sorted(band.spans, key=lambda one: _ORDER.index(one.kind) if one.kind in _ORDER else 0):
        for x, width in axis.pieces(span.begin, span.end or axis.now):
            wide = max(width, _NARROWEST)
            yield Shape(f"band-{span.kind}", min(x, 100 - wide), wide, _y(place) + 3, 9, _title(span))


def _title(span: Span) -> str:
    end = f"to {span.end:%Y-%m-%d %H:%MZ}" if span.end else "and still"
    return f"{span.what}: {span.kind}, from {span.begin:%Y-%m-%d %H:%MZ} {end}"


def _lines(axis: _Axis, timeline: Timeline) -> Iterable[Shape]:
    """Thin lines where the credential was checked; none where nobody knows.

    One field for all neighbouring bands, filled with a pattern: a line for each band would be half of the page.
    """
    stretches = list(_stretches(axis, timeline))
    for asked, run in groupby(enumerate(timeline.bands), key=lambda place_of: place_of[1].asked):
        places = [place for place, _ in run]
        for begin, end in stretches if asked else ():
            for x, width in axis.pieces(begin, end):
                yield Shape("lines", x, width, _y(places[0] + _HEAD_ROWS), ROW * len(places))


def _stretches(axis: _Axis, timeline: Timeline) -> Iterable[tuple[datetime, datetime]]:
    begin: datetime | None = None
    end = axis.begin
    for day in sorted(timeline.days, key=lambda one: one.day):
        if not day.checks:
            continue
        midnight = datetime(day.day.year, day.day.month, day.day.day, tzinfo=axis.now.tzinfo)
        if begin is not None and midnight > end:
            yield max(begin, axis.begin), min(end, axis.now)
            begin = None
        begin = begin or midnight
        end = midnight + timedelta(days=1)
    if begin is not None:
        yield max(begin, axis.begin), min(end, axis.now)


def _head(axis: _Axis, timeline: Timeline) -> Iterable[Shape]:
    for incident in timeline.incidents:
        for x, width in axis.pieces(max(incident.opened_at, axis.begin), incident.resolved_at or axis.now):
            title = f"incident {incident.number}"
            yield Shape("incident", min(x, 99.5), max(width, _NARROWEST), _y(0) + 5, 5, title)
    yield from _envelopes(axis, timeline)


def _checks(axis: _Axis, timeline: Timeline) -> Iterable[Shape]:
    """A bar for each day, one for days in a row that are alike; and a tick for each check of the last hours."""
    days = [day for day in timeline.days if axis.begin <= _midnight(axis, day) <= axis.cut - timedelta(days=1)]
    for _, alike in groupby(enumerate(days), key=_in_a_row):
        first, last = (run := [day for _, day in alike])[0], run[-1]
        height = round(11 * min(first.answered / _FULL_DAY, 1), 1)
        x, end = axis.x(_midnight(axis, first)), axis.x(_midnight(axis, last) + timedelta(days=1))
        dates = f"{first.day}" if first is last else f"{first.day} to {last.day}, each day"
        title = f"{dates}: {first.answered} of {first.checks} checks answered"
        yield Shape("checks", x, round(max((end - x) * 0.98, 0.1), 2), _y(2) + 13 - height, height, title)
    for at in timeline.checks:
        if at >= axis.cut:
            yield Shape("tick", axis.x(at), 0.12, _y(2) + 3, 9, f"check {at:%Y-%m-%d %H:%MZ}")


def _midnight(axis: _Axis, day: CheckedDay) -> datetime:
    return datetime(day.day.year, day.day.month, day.day.day, tzinfo=axis.now.tzinfo)


def _in_a_row(place_and_day: tuple[int, CheckedDay]) -> tuple[int, int, int]:
    """The same for days that follow each other with the same counts."""
    place, day = place_and_day
    return day.day.toordinal() - place, day.answered, day.checks


def _envelopes(axis: _Axis, timeline: Timeline) -> Iterable[Shape]:
    """Emails that would lie upon each other are one, with their number in its title."""
    last: list[str] = []
    at = -10.0
    for email in sorted(timeline.emails, key=lambda one: one.at):
        x = min(axis.x(email.at), 98.8)
        said = f"email {email.number}, {email.status}, {email.at:%Y-%m-%d %H:%MZ}"
        if x - at >= 1.2 and last:
            yield Shape("envelope", at, 1.2, _y(1) + 3, 9, "; ".join(last))
            last = []
        at = at if last else x
        last.append(said)
    if last:
        yield Shape("envelope", at, 1.2, _y(1) + 3, 9, "; ".join(last))


def _coarse(shapes: Iterable[Shape]) -> Sequence[Shape]:
    """Where there are too many: neighbours of a kind become one, if they are near enough to each other."""
    found: Sequence[Shape] = list(shapes)
    for gap in _GAPS:
        found = list(_joined(found, gap))
        if len(found) <= MOST_SHAPES:
            break
    return found


def _joined(shapes: Iterable[Shape], gap: float) -> Iterable[Shape]:
    """Those with less than so many per cent between them are one."""
    by_row: dict[tuple[float, str], list[Shape]] = {}
    for shape in shapes:
        by_row.setdefault((shape.y, shape.kind), []).append(shape)
    for (y, kind), row in by_row.items():
        begin, end = None, 0.0
        for shape in sorted(row, key=lambda one: one.x):
            if begin is not None and shape.x - end > gap:
                yield Shape(kind, begin, round(end - begin, 2), y, shape.height)
                begin = None
            begin = shape.x if begin is None else begin
            end = max(end, shape.end)
        if begin is not None:
            yield Shape(kind, begin, round(end - begin, 2), y, row[0].height)


def _marks(axis: _Axis) -> Iterable[Mark]:
    """The beginnings of months and their middles on the left; midnights on the right."""
    day = axis.begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day < axis.cut - timedelta(days=2):
        if day.day in (1, 15):
            yield Mark(axis.x(day), "day", day, roomy=day.day == 15)
        day += timedelta(days=1)
    day = axis.cut.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day < axis.now - timedelta(hours=6):
        yield Mark(axis.x(day), "weekday", day)
        day += timedelta(days=1)
