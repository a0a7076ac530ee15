"""The notice of a write alarm: it waits for nothing and is braked by nothing."""

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from checks.report import WriteAlarm
from monitor.incidents import Audience
from monitor.notices.letters import AlarmLetter, clean, moment
from monitor.notices.notice import Status, message_id
from monitor.notices.policy import Policy
from monitor.notices.render import Renderer
from monitor.settings import NoticesMode
from monitor.store import notices as store


async def write_alarm_notice(
    conn: AsyncConnection,
    policy: Policy,
    renderer: Renderer,
    alarm: WriteAlarm,
    tenant_id: str,
    tenant_name: str,
    credential_label: str,
    now: datetime,
) -> None:
    """Write the operator's notice in the caller's transaction, once for each alarm; nothing with notices off."""
    facts = (tenant_id, credential_label, alarm.endpoint, alarm.at.isoformat())
    identity = hashlib.sha256(repr(("alarm", facts)).encode()).hexdigest()[:32]
    known_as = message_id(identity, policy.mail_from)
    if policy.mode is NoticesMode.OFF or await store.has_message(conn, known_as):
        return
    words = renderer.render(_letter(alarm, tenant_id, tenant_name, credential_label))
    row = {
        "tenant_id": tenant_id,
        "audience": Audience.OPERATOR,
        "status": Status.PENDING,
        "why": "write alarm",
        "recipient": policy.operator_mail,
        "subject": words.subject,
        "text": words.text,
        "html": words.html,
        "message_id": known_as,
        "created_at": now,
        "next_attempt_at": now,
        "attempts": 0,
    }
    await store.add(conn, [row])


def _letter(alarm: WriteAlarm, tenant_id: str, tenant_name: str, credential_label: str) -> AlarmLetter:
    return AlarmLetter(
        tenant=clean(tenant_name),
        tenant_id=clean(tenant_id),
        credential=clean(credential_label),
        endpoint=clean(alarm.endpoint),
        status=alarm.status,
        at=moment(alarm.at),
        request_id=clean(alarm.request_id or ""),
        record_id=clean(alarm.record_id or ""),
        stops=alarm.stops,
    )
