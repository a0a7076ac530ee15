"""New drift events, as they are recorded."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from monitor.incidents import history_queries
from monitor.incidents.history_queries import PastEvent, Wanted
from monitor.store.database import Database

LOOK_BACK_POLLS = 30
_LOOK_BACK_IDS = 1000  # at the start, before there were polls


class HistoryFollower:
    """Finds each event once.

    Postgres gives ids before it commits: events with lower ids than the newest may come later, if not more than so
    many polls.
    """

    def __init__(self, db: Database, wanted: Wanted) -> None:
        self._db = db
        self._wanted = wanted
        self._newest: deque[int] = deque(maxlen=LOOK_BACK_POLLS)
        self._after = 0
        self._seen: frozenset[int] = frozenset()

    async def start(self) -> Sequence[PastEvent]:
        """The events so far, if a time or a number is asked for, else none; `poll` finds those recorded from now on."""
        wanted = self._wanted
        async with self._db.reading() as conn:
            newest = await history_queries.newest_id(conn)
            self._after = max(0, newest - _LOOK_BACK_IDS)
            recent = await history_queries.events(conn, replace(wanted, limit=None, after_id=self._after))
            self._seen = frozenset(event.id for event in recent)
            return [] if wanted.since is None and wanted.limit is None else await history_queries.events(conn, wanted)

    async def poll(self) -> Sequence[PastEvent]:
        """The events that were recorded since."""
        async with self._db.reading() as conn:
            newest = await history_queries.newest_id(conn)
            found = await history_queries.events(conn, replace(self._wanted, limit=None, after_id=self._after))
        new = [event for event in found if event.id not in self._seen]
        self._seen = frozenset(event.id for event in found)
        self._newest.append(newest)
        if len(self._newest) == LOOK_BACK_POLLS:
            self._after = max(self._after, self._newest[0])
        return new
