"""A notice that is not written yet: a message with its reader, and the row it becomes once the message is rendered."""

from dataclasses import dataclass
from datetime import datetime

from monitor.incidents.rules import Audience
from monitor.notices.content.messages import Message
from monitor.notices.content.render import RenderedMessage
from monitor.notices.notice import Status, message_id


@dataclass(frozen=True, slots=True)
class NoticeDraft:
    """`reports` are all its causes; it `settles` those of them that did not come from the held notices it `replaces`.

    `identity` is what its Message-ID is made of: the same causes give the same identity on every run.
    """

    message: Message
    audience: Audience
    recipient: str
    status: Status
    why: str
    identity: str
    tenant_id: str | None = None
    reports: tuple[int, ...] = ()
    settles: tuple[int, ...] = ()
    replaces: tuple[int, ...] = ()

    def row(self, rendered: RenderedMessage, mail_from: str, now: datetime) -> dict[str, object]:
        due = now if self.status is Status.PENDING else None
        return {
            "tenant_id": self.tenant_id,
            "audience": self.audience,
            "status": self.status,
            "why": self.why,
            "recipient": self.recipient,
            "subject": rendered.subject,
            "text": rendered.text,
            "html": rendered.html,
            "message_id": message_id(self.identity, mail_from),
            "created_at": now,
            "next_attempt_at": due,
            "pending_since": due,
            "attempts": 0,
            "fallback": bool(rendered.problem),
        }
