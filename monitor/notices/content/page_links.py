"""The links of emails: from what one is about to the page that shows it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from monitor.notices.content.messages import (
    AlarmMessage,
    BrakeMessage,
    CsmMessage,
    DigestMessage,
    FailedMessage,
    Message,
    PauseMessage,
    ResumeMessage,
    TemplateMessage,
    TenantNews,
)
from monitor.notices.content.retired_message import RetiredKey, RetiredMessage
from monitor.notices.notice import Status

OVERVIEW, NOTICES, SWEEPS, WRITES = "/", "/notices", "/sweeps", "/writes"

Subject = Message | TenantNews | RetiredKey


def tenant_page(tenant_id: str) -> str:
    return f"/tenants/{quote(tenant_id, safe='')}"


def notices_page(status: Status) -> str:
    return f"{NOTICES}?{urlencode({'status': status})}"


@dataclass(frozen=True, slots=True)
class PageLink:
    """`words` are what a reader sees where the address itself need not be shown."""

    words: str
    address: str


@dataclass(frozen=True, slots=True)
class PageLinks:
    """For readers of our own: what is forwarded to a customer has no link. `public_url` is where people reach this
    service; until it is set there are no links at all.
    """

    public_url: str | None = None

    def of(self, subject: Subject) -> PageLink | None:
        """The link of a message as a whole, or of one tenant in it; None if there is none."""
        where = _where(subject)
        if self.public_url is None or where is None:
            return None
        page, path = where
        return PageLink(f"{page} in Harvest Monitor", f"{self.public_url}{path}")

    def all_in(self, message: Message) -> tuple[PageLink, ...]:
        """In the order in which the email has them."""
        links = (self.of(subject) for subject in (*_parts(message), message))
        return tuple(dict.fromkeys(link for link in links if link is not None))


def _where(subject: Subject) -> tuple[str, str] | None:
    """What the page shows, in words, and its path."""
    match subject:
        case CsmMessage():
            return subject.tenant, tenant_page(subject.tenant_id)
        case TenantNews():
            return subject.name, tenant_page(subject.id)
        case RetiredKey():
            return subject.customer, tenant_page(subject.tenant_id)
        case DigestMessage():
            return ("All tenants", OVERVIEW) if subject.brief or subject.unnamed else None
        case RetiredMessage():
            return ("All tenants", OVERVIEW) if subject.is_in_short else None
        case BrakeMessage():
            return "Held notices", notices_page(Status.HELD)
        case FailedMessage() if not subject.given_up:
            return "Notices", notices_page(Status.PENDING)
        case FailedMessage():
            return "Failed notices", notices_page(Status.FAILED)
        case TemplateMessage():
            return "Notices", NOTICES
        case AlarmMessage():
            return "Write probes", WRITES
        case PauseMessage() | ResumeMessage():
            return "Sweeps", SWEEPS


def _parts(message: Message) -> Iterator[TenantNews | RetiredKey]:
    """The tenants of a message that have a link of their own: those for which there is room in full."""
    if isinstance(message, DigestMessage):
        yield from message.tenants
    elif isinstance(message, RetiredMessage):
        yield from message.keys
