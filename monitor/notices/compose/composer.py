"""The composer: once a minute, from unsettled causes to written notices, in one transaction."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices import cause_queries, notice_queries
from monitor.notices.causes import PendingCause
from monitor.notices.compose import brake_queries
from monitor.notices.compose.brake import Recent
from monitor.notices.compose.grouping import Composition, compose
from monitor.notices.content.news_from_causes import Background, Scopes
from monitor.notices.content.notice_draft import NoticeDraft
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.content.retired_message import Boxes
from monitor.notices.content.successor import CredentialNeeds, Manifests, no_manifest, successor_boxes
from monitor.notices.immediate.failed_deliveries import write_failure_notice
from monitor.notices.immediate.immediate_notice import write_template_notice
from monitor.notices.immediate.retired_keys import write_retired_key_notices
from monitor.notices.notice import Status
from monitor.notices.partners import partner_permissions
from monitor.notices.policy import NoticePolicy
from monitor.store.database import Database
from monitor.tenants import scope_acceptance_queries

_log = structlog.get_logger()


class _Overtaken(Exception):
    """Another process settled a cause, or released or dropped a held notice, between our reading and our writing."""


class Composer:
    """`impacts` are the manifests' sentences on what fails without a permission, `effects` their words for what it
    allows, `scopes` the scopes that grant it. `derived` are digests of manifests whose scopes need an acceptance.

    `manifests` say which scopes to ask for in the place of a credential that no longer works. All are asked for in each
    run: a reload of the tenants file reads the manifests again.
    """

    def __init__(
        self,
        db: Database,
        policy: NoticePolicy,
        renderer: Renderer,
        impacts: Callable[[], Mapping[str, str]] = dict,
        scopes: Callable[[], Scopes] = dict,
        manifests: Manifests = no_manifest,
        effects: Callable[[], Mapping[str, str]] = dict,
        derived: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._db = db
        self._policy = policy
        self._renderer = renderer
        self._impacts = impacts
        self._scopes = scopes
        self._manifests = manifests
        self._effects = effects
        self._derived = derived

    async def run_once(self, now: datetime) -> int:
        """Settle every ripe cause, then report retired keys and failed notices.

        Returns how many notices the causes became.
        """
        written = await self._settle(now)
        await write_retired_key_notices(self._db, self._policy, self._renderer, self._manifests, now)
        await write_failure_notice(self._db, self._policy, self._renderer, now)
        return written

    async def _settle(self, now: datetime) -> int:
        """Messages are rendered between reading and writing, so that no lock is held meanwhile.

        If another composer or an operator was quicker, nothing is written, and the next run starts again.
        """
        async with self._db.reading() as conn:
            causes = await cause_queries.pending_causes(conn)
            recent = await brake_queries.recent(conn, self._policy.interval, now, causes)
            background = await self._background(conn, causes)
            refused = {cause.credential_id for cause in causes if _asks_for_successor(cause)}
            needs = await cause_queries.needs(conn, refused)
            accepted = frozenset(await scope_acceptance_queries.accepted_at(conn))
        # In a thread: on the event loop, rendering the emails of a burst would hold up checks and /healthz.
        successors = partial(self._successors, needs, accepted)
        composition, rendered = await asyncio.to_thread(self._compose, causes, recent, background, successors, now)
        try:
            await self._write(composition, rendered, recent, now)
        except _Overtaken:
            _log.warning("composing_overtaken")
            return 0
        if rendered:
            _log.info("notices_composed", notices=len(rendered), held=sum(d.status is Status.HELD for d, _ in rendered))
        return len(rendered)

    async def _background(self, conn: AsyncConnection, causes: list[PendingCause]) -> Background:
        accepted = await scope_acceptance_queries.accepted_at(conn)
        failed = {cause.tenant_id for cause in causes if cause.kind is EventKind.CREDENTIAL_FAILED}
        return Background(
            impacts=self._impacts(),
            still_missing=await cause_queries.still_missing(conn),
            scopes=self._scopes(),
            partners=await cause_queries.partner_coverage(conn, partner_permissions(causes)),
            v1_keys=await cause_queries.v1_keys(conn) if any(cause.is_retirement for cause in causes) else None,
            effects=self._effects(),
            coverage=await cause_queries.coverage(conn, {c.credential_id for c in causes if c.permission_id}),
            with_access=await cause_queries.with_access(conn, failed),
            unaccepted=self._derived() - accepted.keys(),
        )

    def _successors(self, needs: Mapping[int, CredentialNeeds], accepted: frozenset[str]) -> dict[int, Boxes | None]:
        """May read a manifest from its file."""
        return {id_: successor_boxes(one, self._manifests, accepted) for id_, one in needs.items()}

    def _compose(
        self,
        causes: list[PendingCause],
        recent: Recent,
        background: Background,
        successors: Callable[[], Mapping[int, Boxes | None]],
        now: datetime,
    ) -> tuple[Composition, list[tuple[NoticeDraft, RenderedMessage]]]:
        composition = compose(causes, recent, self._policy, now, replace(background, successors=successors()))
        return composition, [(draft, self._renderer.render(draft.message)) for draft in composition.drafts]

    async def _write(
        self,
        composition: Composition,
        rendered: list[tuple[NoticeDraft, RenderedMessage]],
        recent: Recent,
        now: datetime,
    ) -> None:
        # Most runs have nothing to write, and must not take SQLite's only write lock every minute.
        if not (rendered or composition.suppressed or composition.emptied):
            return
        superseded = [*composition.emptied, *(notice for draft, _ in rendered for notice in draft.replaces)]
        async with self._db.writing() as conn:
            # Of two composers the second stops here, before it writes a notice: only one can change these rows.
            _expect(len(superseded), await notice_queries.drop_superseded(conn, superseded))
            for notice, causes in _by_notice(composition.suppressed).items():
                _expect(len(causes), await cause_queries.settle(conn, causes, notice, now))
            _expect(len(composition.reopened), await cause_queries.reopen(conn, composition.reopened))
            saved = await brake_queries.save_reports(conn, composition.reported, recent.reported)
            _expect(len(composition.reported), saved)
            settled = [cause for draft, _ in rendered for cause in draft.settles]
            _expect(len(settled), await cause_queries.settle(conn, settled, None, now))
            rows = [draft.row(message, self._policy.mail_from, now) for draft, message in rendered]
            ids = await notice_queries.add(conn, rows)
            written = zip(ids, (draft for draft, _ in rendered), strict=True)
            await cause_queries.assign_notices(conn, {cause: id_ for id_, draft in written for cause in draft.reports})
            broken = {draft.message.template: message.problem for draft, message in rendered if message.problem}
            for template, problem in broken.items():
                await write_template_notice(conn, self._policy, self._renderer, template, problem, now)


def _asks_for_successor(cause: PendingCause) -> bool:
    return cause.kind is EventKind.CREDENTIAL_FAILED and cause.audience is Audience.CSM


def _by_notice(suppressed: Mapping[int, int | None]) -> dict[int | None, list[int]]:
    causes: dict[int | None, list[int]] = {}
    for cause, notice in suppressed.items():
        causes.setdefault(notice, []).append(cause)
    return causes


def _expect(expected: int, changed: int) -> None:
    if changed != expected:
        raise _Overtaken
