"""How excess changes: found by the first check that shows it, gone with the first that shows it refused."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from checks.report import CheckReport
from monitor.drift.model import Event, EventKind, KnownExcess


def change(
    known: Mapping[str, KnownExcess], report: CheckReport, now: datetime
) -> tuple[dict[str, KnownExcess], list[Event]]:
    """Excess that the check says nothing about stays; what the manifest now asks for is no longer excess."""
    # Excess of v1 is known by endpoint, that of v3 by scope.
    required = {name for finding in report.findings for name in (finding.endpoint, *finding.scopes)}
    changed = {endpoint: was for endpoint, was in known.items() if endpoint not in required}
    events = []
    for endpoint in _gone(changed, report):
        events.append(_event(EventKind.EXCESS_GONE, endpoint, changed.pop(endpoint), now))
    for found in report.excess:
        was = known.get(found.endpoint)
        excess = KnownExcess(found.label, found.certain, since=was.since if was else now)
        changed[found.endpoint] = excess
        if was is None:
            events.append(_event(EventKind.EXCESS_FOUND, found.endpoint, excess, now))
    return changed, events


def _gone(changed: Iterable[str], report: CheckReport) -> list[str]:
    shown = {excess.endpoint for excess in report.excess}
    return [
        endpoint
        for endpoint in changed
        if endpoint in report.no_excess or (report.excess_is_whole and endpoint not in shown)
    ]


def _event(kind: EventKind, endpoint: str, excess: KnownExcess, now: datetime) -> Event:
    detail = "certain" if excess.certain else "likely"
    return Event(kind, permission_id=endpoint, label=excess.label, detail=detail, first_seen=now)
