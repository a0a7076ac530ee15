"""Writing a notice that never waits and is never held: to the operator, unless another reader is named."""

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices import notice_queries
from monitor.notices.content.messages import Message, TemplateMessage
from monitor.notices.content.notice_draft import NoticeDraft
from monitor.notices.content.render import Renderer
from monitor.notices.notice import Status, message_id
from monitor.notices.policy import NoticePolicy
from monitor.version import VERSION


async def write_immediate_notice(
    conn: AsyncConnection,
    policy: NoticePolicy,
    renderer: Renderer,
    message: Message,
    *,
    why: str,
    facts: tuple[object, ...],
    now: datetime,
    tenant_id: str | None = None,
    audience: Audience = Audience.OPERATOR,
    recipient: str | None = None,
) -> None:
    """Write it in the caller's transaction, once for the same `facts`; with notices off, write nothing."""
    draft = NoticeDraft(
        message=message,
        audience=audience,
        recipient=policy.operator_mail if recipient is None else recipient,
        status=Status.PENDING,
        why=why,
        identity=hashlib.sha256(repr(facts).encode()).hexdigest()[:32],
        tenant_id=tenant_id,
    )
    own_id = message_id(draft.identity, policy.mail_from)
    if policy.mode is NoticesMode.OFF or await notice_queries.has_message_id(conn, own_id):
        return
    rendered = renderer.render(message)
    if rendered.problem:
        await write_template_notice(conn, policy, renderer, message.template, rendered.problem, now)
    await notice_queries.add(conn, [draft.row(rendered, policy.mail_from, now)])


async def write_template_notice(
    conn: AsyncConnection, policy: NoticePolicy, renderer: Renderer, template: str, problem: str, now: datetime
) -> None:
    """Report a template that cannot be used, once for each release of ours."""
    message = TemplateMessage(template, problem, VERSION)
    if template != message.template:  # this very message may be fallback text, too: that is not reported again
        facts = ("template", template, VERSION)
        await write_immediate_notice(conn, policy, renderer, message, why="broken template", facts=facts, now=now)
