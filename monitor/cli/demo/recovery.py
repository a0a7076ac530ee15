"""What a demo that was cut off left behind, read from the database before anything continues."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from monitor.checking.check_limits import CheckLimits
from monitor.cli.demo.event_lines import subject_of, time_of_day
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.incidents.history_queries import PastEvent, Wanted, events
from monitor.notices.cause_queries import pending_causes
from monitor.notices.causes import PendingCause
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, list_notices
from monitor.notices.wording import counted
from monitor.store.database import open_database

_MANY = 1000


async def show_recovery(settings: Settings, console: Console) -> None:
    """Events, notices by their status, and when the interrupted checks are repeated."""
    db = await open_database(settings.database)
    try:
        async with db.reading() as conn:
            past = await events(conn, Wanted())
            causes = await pending_causes(conn)
            sent = await list_notices(conn, [Status.SENT], None, _MANY)
            pending = await list_notices(conn, [Status.PENDING], None, _MANY)
    finally:
        await db.close()
    console.print("\n[bold]An earlier demo was cut off here.[/] It continues; --anew starts over. It left:")
    for line in [
        *_event_lines(past, causes),
        f"{counted(len(sent), 'email')} sent",
        *_pending_lines(pending, utc_now()),
    ]:
        console.print(f"   {line}")
    seconds = CheckLimits.of(settings).lease.total_seconds()
    console.print(
        f"   [dim]Interrupted checks are repeated within {seconds:.0f} s, when none can still be running.[/]\n"
    )


def _event_lines(past: Sequence[PastEvent], causes: Sequence[PendingCause]) -> Iterator[str]:
    not_notified = {cause.event_id for cause in causes if cause.held_in is None}
    yield f"{counted(len(past), 'change')} recorded, {len(not_notified)} of them not in an email yet"
    if past:
        latest = max(past, key=lambda event: event.at)
        when, tenant = time_of_day(latest.at), escape(latest.tenant_name)
        yield f"   the last at {when}: {latest.kind} {tenant}, {escape(subject_of(latest))}"


def _pending_lines(pending: Sequence[ListedNotice], now: datetime) -> Iterator[str]:
    for notice in reversed(pending):
        subject = escape(notice.subject)
        if notice.attempts and notice.next_attempt_at is not None and notice.next_attempt_at > now:
            yield f"1 notice that was being sent, and may have arrived: {subject}"
            yield f"   it is sent again at {time_of_day(notice.next_attempt_at)}, with the same Message-ID"
        else:
            yield f"1 notice that waits to be sent: {subject}"
