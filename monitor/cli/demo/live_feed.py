"""What the service finds and emails after the demo's story, as it happens."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from monitor.cli.demo.event_lines import DemoLine, of_event, of_notice
from monitor.cli.demo.hints import shown_path
from monitor.cli.demo.setup import DemoSetup
from monitor.clock import utc_now
from monitor.incidents.history_follower import HistoryFollower
from monitor.incidents.history_queries import Wanted
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice, list_notices
from monitor.store.database import Database

POLL_SECONDS = 0.5
_NEWEST = 200  # notices; no demo writes as many between two polls


class LiveFeed:
    def __init__(self, setup: DemoSetup, db: Database, console: Console) -> None:
        self._setup = setup
        self._db = db
        self._console = console
        self._events = HistoryFollower(db, Wanted())
        self._notices: dict[int, str] = {}
        self._files: frozenset[Path] = frozenset()

    async def start(self) -> None:
        """What there is by now is not shown."""
        await self._events.start()
        await self._changed_notices()
        self._new_files()

    async def run(self) -> None:
        """Until it is cancelled."""
        with self._console.status("watching; Ctrl-C ends the demo"):
            while True:
                await asyncio.sleep(POLL_SECONDS)
                for line in await self._new_lines():
                    line.show(self._console)
                for path in self._new_files():
                    self._console.print(f"   [dim]{escape(str(shown_path(path)))}[/]")

    async def _new_lines(self) -> list[DemoLine]:
        lines = [of_event(event) for event in await self._events.poll()]
        told = (of_notice(notice, utc_now()) for notice in await self._changed_notices())
        return lines + [line for line in told if line is not None]

    async def _changed_notices(self) -> Sequence[ListedNotice]:
        """The oldest first."""
        async with self._db.reading() as conn:
            newest = await list_notices(conn, tuple(Status), None, _NEWEST)
        changed = [notice for notice in reversed(newest) if self._notices.get(notice.id) != notice.status]
        self._notices |= {notice.id: notice.status for notice in changed}
        return changed

    def _new_files(self) -> list[Path]:
        files = frozenset(self._setup.mail.glob("*.html"))
        new = files - self._files
        self._files = files
        return sorted(new)
