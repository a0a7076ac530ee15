"""A sequence of checks of one credential."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from checks.report import CheckReport
from monitor.drift import Change, Event, Known, compare
from tests.reports import HOUR, KEY, POLICY, T0, served


@dataclass
class CheckSequence:
    """Checks of one credential, one an hour, and what they changed."""

    known: Known = field(default_factory=Known)
    now: datetime = T0 - HOUR
    change: Change | None = None

    def check(self, report: CheckReport, fingerprint: str | None = KEY) -> list[str]:
        """Makes one check; its events, as `kind:permission` or `kind:state`."""
        self.now += HOUR
        self.change = compare(self.known, report, fingerprint, self.now, POLICY)
        self.known = self.change.known
        return [f"{e.kind}:{e.permission_id or e.state}" for e in self.change.events]

    def checks(self, letters: str) -> list[str]:
        """Makes a full check of the one permission `jobs` for each letter; the events of all of them."""
        return [event for letter in letters for event in self.check(served({"jobs": letter}))]

    @property
    def event(self) -> Event:
        assert self.change is not None
        (event,) = self.change.events
        return event

    @property
    def check_again_in(self) -> timedelta | None:
        assert self.change is not None
        return self.change.check_again_in
