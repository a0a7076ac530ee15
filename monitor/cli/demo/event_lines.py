"""What was recorded and emailed, each in a line: when, what in its colour, and whom it concerns."""

from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.state_colours import STYLES
from monitor.incidents.history_queries import PastEvent
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice

_SAID = {
    Status.SENT: "emailed",
    Status.HELD: "held",
    Status.FAILED: "failed",
    Status.DROPPED: "dropped",
}


@dataclass(frozen=True, slots=True)
class DemoLine:
    at: datetime
    kind: str
    style: str
    what: str

    def show(self, console: Console) -> None:
        """On a terminal, what has no room goes on below its beginning."""
        begin = Text.assemble(f"   {time_of_day(self.at)}  ", (f"{self.kind:<8}", self.style))
        if console.is_terminal:
            grid = Table.grid(padding=(0, 1))
            grid.add_column(no_wrap=True)
            grid.add_row(begin, Text(self.what))
            console.print(grid)
        else:
            console.print(Text.assemble(begin, f" {self.what}"))


def of_event(event: PastEvent) -> DemoLine:
    return DemoLine(event.at, event.kind, STYLES.get(event.kind, ""), f"{event.tenant_name}: {subject_of(event)}")


def of_notice(notice: ListedNotice, now: datetime) -> DemoLine | None:
    """None while it waits to be sent."""
    status = Status(notice.status)
    if status not in _SAID:
        return None
    at = notice.sent_at or notice.failed_at or now
    return DemoLine(at, _SAID[status], STYLES.get(status, ""), f"{notice.subject} (to {notice.recipient})")


def time_of_day(at: datetime) -> str:
    return at.strftime("%H:%M:%SZ")


def subject_of(event: PastEvent) -> str:
    """The permission, or the state of the credential as a whole, such as `invalid (revoked or retired)`."""
    if event.permission_label is not None:
        return event.permission_label
    return " ".join(filter(None, [event.state, f"({event.detail.replace('_', ' ')})" if event.detail else ""]))
