"""Notices that wait for nothing and are braked by nothing: the operator's, unless another reader is named."""

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices import queries as store
from monitor.notices.content.messages import Message, TemplateMessage
from monitor.notices.content.render import Renderer
from monitor.notices.notice import Status, message_id
from monitor.notices.policy import NoticePolicy
from monitor.version import VERSION


async def write_immediately(
    conn: AsyncConnection,
    policy: NoticePolicy,
    renderer: Renderer,
    letter: Message,
    *,
    why: str,
    facts: tuple[object, ...],
    now: datetime,
    tenant_id: str | None = None,
    audience: Audience = Audience.OPERATOR,
    recipient: str | None = None,
) -> None:
    """Write it in the caller's transaction, once for the same `facts`; nothing with notices off."""
    identity = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    known_as = message_id(identity, policy.mail_from)
    if policy.mode is NoticesMode.OFF or await store.has_message(conn, known_as):
        return
    words = renderer.render(letter)
    if words.problem:
        await tell_of_template(conn, policy, renderer, letter.template, words.problem, now)
    row = {
        "tenant_id": tenant_id,
        "audience": audience,
        "status": Status.PENDING,
        "why": why,
        "recipient": policy.operator_mail if recipient is None else recipient,
        "subject": words.subject,
        "text": words.text,
        "html": words.html,
        "message_id": known_as,
        "created_at": now,
        "next_attempt_at": now,
        "pending_since": now,
        "attempts": 0,
        "fallback": bool(words.problem),
    }
    await store.add(conn, [row])


async def tell_of_template(
    conn: AsyncConnection, policy: NoticePolicy, renderer: Renderer, template: str, problem: str, now: datetime
) -> None:
    """Say that a template can not be used, once for each release of ours."""
    letter = TemplateMessage(template, problem, VERSION)
    if template != letter.template:  # the mail that tells of it has its plain form, too
        facts = ("template", template, VERSION)
        await write_immediately(conn, policy, renderer, letter, why="broken template", facts=facts, now=now)
