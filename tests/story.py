"""The story of one credential, check by check."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.report import CheckReport
from monitor.drift import Change, Event, Known, compare
from tests.reports import HOUR, KEY, POLICY, T0, served


@dataclass
class Story:
    """Checks of one credential, one an hour, and what came of them."""

    known: Known = field(default_factory=Known)
    now: datetime = T0 - HOUR
    turn: Change | None = None

    def look(self, report: CheckReport, fingerprint: str | None = KEY) -> list[str]:
        """The events of this check, as `kind:permission` or `kind:state`."""
        self.now += HOUR
        self.turn = compare(self.known, report, fingerprint, self.now, POLICY)
        self.known = self.turn.known
        return [f"{e.kind}:{e.permission_id or e.state}" for e in self.turn.events]

    def looks(self, letters: str) -> list[str]:
        """Complete checks of the one permission `jobs`, a letter each; the events of all of them."""
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
