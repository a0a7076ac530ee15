"""How excess turns: found at the first look that shows it, gone at the first that sees it refused, or not carried."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from checks.report import CheckReport
from monitor.drift.model import Event, EventKind, KnownExcess


def turn(
    known: Mapping[str, KnownExcess], report: CheckReport, now: datetime
) -> tuple[dict[str, KnownExcess], list[Event]]:
    """Excess that the look did not speak of stays; what the manifest asks for by now is no excess any more."""
    required = {name for finding in report.findings for name in (finding.endpoint, *finding.scopes)}
    standings = {endpoint: was for endpoint, was in known.items() if endpoint not in required}
    events = []
    for endpoint in _gone(standings, report):
        events.append(_event(EventKind.EXCESS_GONE, endpoint, standings.pop(endpoint), now))
    for found in report.excess:
        was = known.get(found.endpoint)
        standing = KnownExcess(found.label, found.certain, since=was.since if was else now)
        standings[found.endpoint] = standing
        if was is None:
            events.append(_event(EventKind.EXCESS_FOUND, found.endpoint, standing, now))
    return standings, events


def _gone(standings: Iterable[str], report: CheckReport) -> list[str]:
    shown = {excess.endpoint for excess in report.excess}
    return [
        endpoint
        for endpoint in standings
        if endpoint in report.no_excess or (report.excess_is_whole and endpoint not in shown)
    ]


def _event(kind: EventKind, endpoint: str, standing: KnownExcess, now: datetime) -> Event:
    detail = "certain" if standing.certain else "likely"
    return Event(kind, permission_id=endpoint, label=standing.label, detail=detail, first_seen=now)
