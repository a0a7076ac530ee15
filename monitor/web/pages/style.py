"""`/style`: every part of the style sheet once, with its name. Only the demo has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources

from fastapi import APIRouter, Depends, Request, Response

from monitor.reporting.timeline import Band, CheckedDay, IncidentSpan, SentEmail, Span, SpanKind, Timeline
from monitor.web.auth.identity import viewer
from monitor.web.style_colors import GROUNDS, LINES, TEXTS, Palette, least_contrast, palettes
from monitor.web.templating import MARKS, page
from monitor.web.timeline_drawing import drawn

NOW = datetime(2026, 6, 12, 14, 21, tzinfo=UTC)
PURPOSES = {
    **dict.fromkeys(TEXTS, "text"),
    **dict.fromkeys(LINES, "lines that carry a meaning"),
    **dict.fromkeys(GROUNDS, "ground"),
    "line": "parts rows",
}

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Swatch:
    """`contrasts` are the least ones on light and on dark screens; a ground has none."""

    token: str
    purpose: str
    light: str
    dark: str
    contrasts: tuple[float, float] | None


@router.get("/style")
async def style(request: Request) -> Response:
    request.state.now = NOW
    line = sample_timeline()
    return page(
        request,
        "style.html",
        swatches=swatches(),
        statuses=[name for name in MARKS if name != "brand"],
        timeline=line,
        drawing=drawn(line),
        most_spans=len(line.spans),
        page_size=50,
    )


def swatches() -> Sequence[Swatch]:
    found = palettes(resources.files("templates").joinpath("web", "pages.css").read_text("utf-8"))
    return [_swatch(token, purpose, found.light, found.dark) for token, purpose in PURPOSES.items()]


def _swatch(token: str, purpose: str, light: Palette, dark: Palette) -> Swatch:
    least = (least_contrast(light, token), least_contrast(dark, token)) if token in (*TEXTS, *LINES) else None
    return Swatch(token, purpose, light[token], dark[token], least)


def sample_timeline() -> Timeline:
    """Each kind of span, an incident, an email, and a day on which nobody checked."""

    def ago(days: float) -> datetime:
        return NOW - timedelta(days=days)

    label = "GET: List offers"
    spans = {
        "Offers": [Span(SpanKind.MISSING, ago(40), ago(31), label), Span(SpanKind.MISSING, ago(0.6), None, label)],
        "Candidates": [Span(SpanKind.UNDECIDED, ago(20), None, "POST: Add Note")],
        "Scorecards": [Span(SpanKind.SUSPECT, ago(0.1), None, "GET: List Scorecards")],
        "Tags": [Span(SpanKind.DECLINED, ago(70), None, "GET: List candidate tags")],
        "Users": [Span(SpanKind.PAUSED, ago(60), ago(50), "Users")],
        "Jobs": [],
    }
    return Timeline(
        ago(90),
        NOW,
        tuple(Band(name, tuple(of_group)) for name, of_group in spans.items()),
        incidents=(IncidentSpan(7, ago(40), ago(31)), IncidentSpan(8, ago(0.6), None)),
        emails=(SentEmail(21, "sent", ago(39.9)), SentEmail(22, "held", ago(0.4))),
        days=tuple(CheckedDay(ago(day).date(), 6, 2 if day == 12 else 6) for day in range(90) if day != 25),
        checks=tuple(ago(hours / 24) for hours in range(0, 48, 4)),
    )
