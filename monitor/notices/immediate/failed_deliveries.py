"""The operator is told of notices that did not reach their readers: of all in one mail, and never of their own."""

from datetime import datetime

from monitor.config.settings import NoticesMode
from monitor.notices import queries as store
from monitor.notices.content.messages import FailedMessage, FailedNotice, clean
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.immediate_notice import write_immediately
from monitor.notices.policy import NoticePolicy
from monitor.notices.queries import ListedNotice
from monitor.store.database import Database

NAMED = 20


async def tell_of_failed(db: Database, policy: NoticePolicy, renderer: Renderer, now: datetime) -> None:
    """Once the first of them has waited for the settle time, so that a wave of refusals is one mail."""
    if policy.mode is NoticesMode.OFF:
        return
    async with db.reading() as conn:
        first = await store.first_failure(conn, apart_from=policy.operator_mail)
    if first is None or not policy.has_settled(first, now):
        return
    async with db.writing() as conn:
        failed = await store.report_failures(conn, now, apart_from=policy.operator_mail)
        if failed:
            facts = ("failed", now.isoformat(), [notice.id for notice in failed])
            await write_immediately(conn, policy, renderer, _letter(failed), why="failed notices", facts=facts, now=now)


def _letter(failed: list[ListedNotice]) -> FailedMessage:
    named = tuple(
        FailedNotice(notice.id, clean(notice.recipient), clean(notice.subject), clean(notice.last_error or ""))
        for notice in failed[:NAMED]
    )
    return FailedMessage(named, more=len(failed) - len(named))
