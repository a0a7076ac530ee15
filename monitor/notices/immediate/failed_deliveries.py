"""The notice of failed deliveries, and of those that are refused again and again: one email to the operator about all.

The operator's own are left out.
"""

from datetime import datetime

from monitor.config.settings import NoticesMode
from monitor.notices import notice_queries
from monitor.notices.content.messages import FailedMessage, FailedNotice
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.immediate_notice import write_immediate_notice
from monitor.notices.notice import Status
from monitor.notices.notice_queries import ListedNotice
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import clean
from monitor.store.database import Database

NAMED = 20


async def write_failure_notice(db: Database, policy: NoticePolicy, renderer: Renderer, now: datetime) -> None:
    """Write it once the first failure has waited for the settle time, so that many refusals become one email."""
    if policy.mode is NoticesMode.OFF:
        return
    async with db.reading() as conn:
        first = await notice_queries.first_unreported_failure(conn, policy.operator_mail)
    if first is None or not policy.has_settled(first, now):
        return
    async with db.writing() as conn:
        failed = await notice_queries.mark_failures_reported(conn, now, policy.operator_mail)
        if failed:
            facts = ("failed", now.isoformat(), [notice.id for notice in failed])
            await write_immediate_notice(
                conn, policy, renderer, _message(failed), why="failed notices", facts=facts, now=now
            )


def _message(failed: list[ListedNotice]) -> FailedMessage:
    named = tuple(map(_failed, failed[:NAMED]))
    return FailedMessage(named, more=len(failed) - len(named))


def _failed(notice: ListedNotice) -> FailedNotice:
    texts = (clean(notice.recipient), clean(notice.subject), clean(notice.last_error or ""))
    return FailedNotice(notice.id, *texts, is_tried=notice.status == Status.PENDING)
