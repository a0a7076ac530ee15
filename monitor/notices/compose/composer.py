"""The composer: once a minute from unsettled causes to written notices, in one transaction."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog

from monitor.notices import queries as store
from monitor.notices.changes import PendingCause
from monitor.notices.compose.grouping import Composition, Draft, compose
from monitor.notices.content.messages import Background, Scopes
from monitor.notices.content.render import Rendered, Renderer
from monitor.notices.immediate.failed_deliveries import tell_of_failed
from monitor.notices.immediate.immediate_notice import tell_of_template
from monitor.notices.immediate.retired_keys import tell_of_retired
from monitor.notices.immediate.retired_keys_rules import Manifests, no_manifest
from monitor.notices.notice import Status, message_id
from monitor.notices.partners import in_question
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database

_log = structlog.get_logger()


class _Overtaken(Exception):
    """Somebody else settled a cause or ended a hold between our reading and our writing."""


class Composer:
    """`impacts` are the manifests' sentences on what fails without a permission, `scopes` what carries it.

    `manifests` tell which scopes to ask for where a key is retired.
    """

    def __init__(
        self,
        db: Database,
        policy: NoticePolicy,
        renderer: Renderer,
        impacts: Mapping[str, str] | None = None,
        scopes: Scopes | None = None,
        manifests: Manifests = no_manifest,
    ) -> None:
        self._db = db
        self._policy = policy
        self._renderer = renderer
        self._impacts = impacts or {}
        self._scopes = scopes or {}
        self._manifests = manifests

    async def run_once(self, now: datetime) -> int:
        """Settle every cause that is ripe, and tell of retired keys and of what failed.

        Returns how many notices the causes came to.
        """
        written = await self._settle(now)
        await tell_of_retired(self._db, self._policy, self._renderer, self._manifests, now)
        await tell_of_failed(self._db, self._policy, self._renderer, now)
        return written

    async def _settle(self, now: datetime) -> int:
        """The words are found between reading and writing, so that no lock is held meanwhile. If another composer or an
        operator was quicker, nothing is written and the next run begins anew.
        """
        async with self._db.reading() as conn:
            causes = await store.open_causes(conn)
            active = await store.active_tenants(conn)
            still_missing = await store.still_missing(conn)
            partners = await store.partners(conn, in_question(causes))
        background = Background(self._impacts, still_missing, self._scopes, partners)
        composition, worded = await asyncio.to_thread(self._compose, causes, active, background, now)
        try:
            await self._write(composition, worded, now)
        except _Overtaken:
            _log.warning("composing_overtaken")
            return 0
        if worded:
            _log.info("notices_composed", notices=len(worded), held=sum(d.status is Status.HELD for d, _ in worded))
        return len(worded)

    def _compose(
        self, causes: list[PendingCause], active: int, background: Background, now: datetime
    ) -> tuple[Composition, list[tuple[Draft, Rendered]]]:
        composition = compose(causes, active, self._policy, now, background)
        return composition, [(draft, self._renderer.render(draft.letter)) for draft in composition.drafts]

    async def _write(self, composition: Composition, worded: list[tuple[Draft, Rendered]], now: datetime) -> None:
        if not (worded or composition.silent or composition.emptied):
            return
        taken_over = [*composition.emptied, *(notice for draft, _ in worded for notice in draft.replaces)]
        async with self._db.writing() as conn:
            # Whoever is second stops here, before a notice is written: the rows are met by one transaction only.
            _expect(len(taken_over), await store.drop_overtaken(conn, taken_over))
            for told_by, causes in _by_notice(composition.silent).items():
                _expect(len(causes), await store.settle(conn, causes, told_by, now))
            settled = [cause for draft, _ in worded for cause in draft.settles]
            _expect(len(settled), await store.settle(conn, settled, None, now))
            ids = await store.add(conn, [self._row(draft, words, now) for draft, words in worded])
            told = zip(ids, (draft for draft, _ in worded), strict=True)
            await store.tell(conn, {cause: notice for notice, draft in told for cause in draft.tells})
            broken = {draft.letter.template: words.problem for draft, words in worded if words.problem}
            for template, problem in broken.items():
                await tell_of_template(conn, self._policy, self._renderer, template, problem, now)

    def _row(self, draft: Draft, words: Rendered, now: datetime) -> dict[str, object]:
        return {
            "tenant_id": draft.tenant_id,
            "audience": draft.audience,
            "status": draft.status,
            "why": draft.why,
            "recipient": draft.recipient,
            "subject": words.subject,
            "text": words.text,
            "html": words.html,
            "message_id": message_id(draft.identity, self._policy.mail_from),
            "created_at": now,
            "next_attempt_at": now if draft.status is Status.PENDING else None,
            "pending_since": now if draft.status is Status.PENDING else None,
            "attempts": 0,
            "fallback": bool(words.problem),
        }


def _by_notice(silent: Mapping[int, int | None]) -> dict[int | None, list[int]]:
    causes: dict[int | None, list[int]] = {}
    for cause, notice in silent.items():
        causes.setdefault(notice, []).append(cause)
    return causes


def _expect(wanted: int, met: int) -> None:
    if met != wanted:
        raise _Overtaken
