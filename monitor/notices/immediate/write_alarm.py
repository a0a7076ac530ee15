"""The notice of a write alarm."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from checks.report import WriteAlarm
from monitor.notices.content.messages import AlarmMessage
from monitor.notices.content.render import Renderer
from monitor.notices.immediate.immediate_notice import write_immediate_notice
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import clean, moment


async def write_alarm_notice(
    conn: AsyncConnection,
    policy: NoticePolicy,
    renderer: Renderer,
    alarm: WriteAlarm,
    tenant_id: str | None,
    tenant_name: str,
    credential_label: str,
    now: datetime,
) -> None:
    """Write the operator's notice in the caller's transaction, once for each alarm; with notices off, write nothing.

    `tenant_id` is None where the credential was checked for no tenant.
    """
    message = AlarmMessage(
        tenant=clean(tenant_name),
        tenant_id=clean(tenant_id or "no tenant of this service"),
        credential=clean(credential_label),
        endpoint=clean(alarm.endpoint),
        status=alarm.status,
        at=moment(alarm.at),
        request_id=clean(alarm.request_id or ""),
        record_id=clean(alarm.record_id or ""),
        stops=alarm.stops,
    )
    facts = ("alarm", (tenant_id, credential_label, alarm.endpoint, alarm.at.isoformat()))
    await write_immediate_notice(
        conn, policy, renderer, message, why="write alarm", facts=facts, now=now, tenant_id=tenant_id
    )
