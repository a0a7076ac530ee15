"""Has a tenant checked at once when the file of its secret appears or changes, and not only at its next time.

Only plans, as the sampler does: the dispatcher checks at its own pace, also if thousands are replaced at once.
"""

import asyncio
import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from enum import IntEnum

import structlog

from checks.credential import CredentialState
from monitor.checking import replaced_secrets_queries
from monitor.checking.replaced_secrets_queries import Watched
from monitor.errors import SourceFailed, UnresolvedReference
from monitor.store.database import Database
from monitor.tenants.credential_loader import CredentialLoader
from monitor.tenants.file import MINT
from monitor.tenants.file_watch import FileWatch, Seen

log = structlog.get_logger()

_AT_ONCE = 500  # credentials whose secrets are read in one run: each read holds up everything else for a moment


class _Cause(IntEnum):
    """What was noticed of a credential; the higher one counts."""

    FIRST_SEEN = 1  # nothing has changed; but it may have been missing when it was checked
    TOKEN = 2  # a token is a new one every hour
    SECRET = 3


class ReplacedSecrets:
    """`loads` counts how often the tenants file was loaded; `busy` are the credentials being checked."""

    def __init__(
        self, db: Database, loader: CredentialLoader, loads: Callable[[], int], busy: Callable[[], Collection[int]]
    ) -> None:
        self._db = db
        # A file that is missing or empty is looked at again in the next run.
        self._loader = replace(loader, replacing_seconds=0)
        self._loads = loads
        self._busy = busy
        self._watch = FileWatch()
        self._loaded: int | None = None
        self._files: Mapping[str, list[tuple[int, bool]]] = {}
        self._noticed: dict[int, _Cause] = {}

    async def run_once(self, now: datetime) -> int:
        """Make due whose secret was replaced; returns how many. One that is being checked waits until that is done."""
        if self._loaded != (loads := self._loads()):
            async with self._db.reading() as conn:
                self._files = await replaced_secrets_queries.files(conn)
            self._loaded = loads
        # In a thread: a drive out of reach would hold up everything else.
        self._notice(await asyncio.to_thread(self._watch.look, self._files, now.timestamp()))
        idle = self._noticed.keys() - self._busy()
        chosen = heapq.nlargest(_AT_ONCE, idle, key=self._noticed.__getitem__)
        return await self._bring_forward(chosen, now) if chosen else 0

    def _notice(self, seen: Seen) -> None:
        for path in seen.changed | seen.first:
            for credential_id, is_token in self._files[path]:
                cause = _Cause.TOKEN if is_token else _Cause.SECRET
                cause = _Cause.FIRST_SEEN if path in seen.first else cause
                self._noticed[credential_id] = max(cause, self._noticed.get(credential_id, cause))

    async def _bring_forward(self, ids: list[int], now: datetime) -> int:
        async with self._db.reading() as conn:
            watched = await replaced_secrets_queries.watched(conn, ids)
        due = [one.credential_id for one in watched if await self._matters(one, self._noticed[one.credential_id])]
        if due:
            async with self._db.writing() as conn:
                await replaced_secrets_queries.make_due(conn, due, now)
            log.info("secrets_replaced", checks=len(due))
        for credential_id in ids:
            del self._noticed[credential_id]
        return len(due)

    async def _matters(self, one: Watched, cause: _Cause) -> bool:
        match cause:
            case _Cause.FIRST_SEEN:
                wrong = CredentialState.MISCONFIGURED in (one.state, one.suspect_state)
                return wrong and await self._is_another(one)
            case _Cause.TOKEN:
                return one.in_trouble
            case _Cause.SECRET:
                return one.in_trouble or await self._is_another(one)

    async def _is_another(self, one: Watched) -> bool:
        """Another secret than the one on record; also something that is none, so that it is soon told."""
        await asyncio.sleep(0)  # let others on between two reads
        oauth = one.config.oauth
        if any(text.startswith("command:") for text in (one.config.reference, oauth.client_id if oauth else "")):
            return True
        # Without the token, which says nothing about who somebody is.
        config = one.config if oauth is None else replace(one.config, oauth=replace(oauth, token=MINT))
        try:
            credential = await self._loader.load(one.tenant_id, config)
        except SourceFailed:
            return False
        except UnresolvedReference:
            return one.state != CredentialState.MISCONFIGURED
        return one.state == CredentialState.MISCONFIGURED or self._loader.fingerprint(credential) != one.fingerprint
