"""What a demo that was cut off left behind, as the database tells it before anything goes on."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from monitor.checking.check_limits import CheckLimits
from monitor.cli.demo.script import clock, what
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.notices.cause_queries import pending_causes
from monitor.notices.causes import PendingCause
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, list_notices
from monitor.store.database import open_database

_MANY = 1000


async def tell_remains(settings: Settings, console: Console) -> None:
    """Of events, of notices by how far they are, and when what was under way is taken up again."""
    db = await open_database(settings.database)
    try:
        async with db.reading() as conn:
            past = await events(conn, Wanted())
            causes = await pending_causes(conn)
            sent = await list_notices(conn, [Status.SENT], None, _MANY)
            pending = await list_notices(conn, [Status.PENDING], None, _MANY)
    finally:
        await db.close()
    console.print("\n[bold]An earlier demo was cut off here.[/] It goes on; --anew begins again. What it left:")
    for line in [*_of_events(past, causes), f"{len(sent)} notices sent", *_of_pending(pending, utc_now())]:
        console.print(f"   {line}")
    seconds = CheckLimits.of(settings).lease.total_seconds()
    console.print(f"   [dim]Whoever was being checked is looked at again within {seconds:.0f} s: no longer can a check")
    console.print("   [dim]of then be under way.")


def _of_events(past: Sequence[PastEvent], causes: Sequence[PendingCause]) -> Iterator[str]:
    untold = {cause.event_id for cause in causes if cause.held_in is None}
    yield f"{len(past)} drift events, {len(untold)} of them still to be told"
    if past:
        latest = max(past, key=lambda event: event.at)
        yield f"   the last at {clock(latest.at)}: {latest.kind} {escape(latest.tenant_name)}, {escape(what(latest))}"


def _of_pending(pending: Sequence[ListedNotice], now: datetime) -> Iterator[str]:
    for notice in reversed(pending):
        subject = escape(notice.subject)
        if notice.attempts and notice.next_attempt_at is not None and notice.next_attempt_at > now:
            yield f"1 notice that was being sent, and perhaps arrived: {subject}"
            yield f"   it is sent again at {clock(notice.next_attempt_at)}, with the same Message-ID"
        else:
            yield f"1 notice that waits to be sent: {subject}"
