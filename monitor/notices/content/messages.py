"""What each kind of email says, as values that its template prints. The templates hold the sentences."""

from dataclasses import dataclass
from typing import ClassVar

from monitor.notices.content.credential_news import CredentialNews, Listing
from monitor.notices.content.retired_message import RetiredMessage

MANY_ALIKE, FIRST_OF_MANY = 10, 5


@dataclass(frozen=True, slots=True)
class CsmMessage:
    """To the CSM of one tenant, or to the operator in their place; `redirect` then says why.

    `has_other_access` says that another credential of the tenant works.
    """

    template: ClassVar[str] = "csm"
    tenant: str
    tenant_id: str
    reader: str
    credentials: tuple[CredentialNews, ...]
    redirect: str
    has_other_access: bool = False

    def count(self, kind: str) -> int:
        return sum(listing.count for listing in self.listings(kind)) + sum(
            change.kind == kind for credential in self.credentials for change in credential.changes
        )

    def listings(self, kind: str) -> tuple[Listing, ...]:
        listings = (credential.listing(kind) for credential in self.credentials)
        return tuple(listing for listing in listings if listing)

    def in_short(self, kind: str) -> str:
        """For a subject: which permissions."""
        return Listing(tuple(group for listing in self.listings(kind) for group in listing.groups)).in_short

    @property
    def asks(self) -> bool:
        """There is something the customer can do."""
        return self.count("lost") + self.count("credential_failed") > 0

    @property
    def is_open(self) -> bool:
        """Something from an earlier email is still missing."""
        return any(credential.still_missing for credential in self.credentials)


@dataclass(frozen=True, slots=True)
class TenantNews:
    """`request` is what the customer can be sent as it is, where no CSM is notified; None for most. `csm` is the name
    of the tenant's CSM.
    """

    id: str
    name: str
    credentials: tuple[CredentialNews, ...]
    summary: str
    request: CsmMessage | None = None
    csm: str = ""


@dataclass(frozen=True, slots=True)
class AlikeTenants:
    """Of which the same is said: the first few of `count`."""

    summary: str
    first: tuple[TenantNews, ...]
    count: int


@dataclass(frozen=True, slots=True)
class V1Keys:
    """How many keys of Harvest v1 are retired, and how many still work."""

    retired: int
    working: int

    @property
    def all_retired(self) -> bool:
        return self.retired > 0 and self.working == 0


@dataclass(frozen=True, slots=True)
class DigestShare:
    """The news of some tenants; `brief` are those for which there is no room in full."""

    tenants: tuple[TenantNews, ...] = ()
    brief: tuple[TenantNews, ...] = ()
    unnamed: int = 0

    @property
    def total(self) -> int:
        return len(self.tenants) + len(self.brief) + self.unnamed

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(tenant.name for tenant in (*self.tenants, *self.brief))

    @property
    def in_short(self) -> tuple[AlikeTenants, ...]:
        """`brief`, with one line for many of which the same is said."""
        alike: dict[str, list[TenantNews]] = {}
        for tenant in self.brief:
            alike.setdefault(tenant.summary, []).append(tenant)
        lines: list[AlikeTenants] = []
        for summary, theirs in alike.items():
            if len(theirs) > MANY_ALIKE:
                lines.append(AlikeTenants(summary, tuple(theirs[:FIRST_OF_MANY]), len(theirs)))
            else:
                lines += [AlikeTenants(summary, (one,), 1) for one in theirs]
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class ToldCsm:
    """What the CSM of a tenant is told in an email of the same run."""

    tenant: str
    reader: str
    summary: str


@dataclass(frozen=True, slots=True)
class DigestMessage:
    """To the operator: the news of one run of the composer, by whether they have to act. `total` counts tenants.

    `told` are CSMs who get an email of the same run, `told_more` those for whom there is no room. `lost_to_all` are
    labels of what every customer of a partner's client lacks. `retired` is set where some of the news is of keys that
    Greenhouse retired, `retired_when` says when that was, `locked_out` counts tenants for whom nothing else works.
    `accept_first` says that CSMs have nothing to forward until the operator accepts derived scopes.
    """

    template: ClassVar[str] = "digest"
    action: DigestShare
    quiet: DigestShare
    total: int
    told: tuple[ToldCsm, ...] = ()
    told_more: int = 0
    lost_to_all: tuple[str, ...] = ()
    retired: V1Keys | None = None
    retired_when: str = ""
    locked_out: int = 0
    accept_first: bool = False

    @property
    def tenants(self) -> tuple[TenantNews, ...]:
        """Those in full, each once for what needs the operator and once for what does not."""
        return (*self.action.tenants, *self.quiet.tenants)

    @property
    def brief(self) -> tuple[TenantNews, ...]:
        return (*self.action.brief, *self.quiet.brief)

    @property
    def unnamed(self) -> int:
        return self.action.unnamed + self.quiet.unnamed

    @property
    def is_of_many(self) -> bool:
        """It has parts to tell apart; else its first line says it all."""
        return self.action.total + self.quiet.total > 1 or bool(self.told)

    @property
    def example(self) -> str:
        """The id of a tenant to look at."""
        return (*self.tenants, *self.brief)[0].id


@dataclass(frozen=True, slots=True)
class BurstSample:
    """Tenants checked ahead of time because others had changed, and how many of them had changed alike."""

    checked: int
    alike: int


@dataclass(frozen=True, slots=True)
class Burst:
    """Tenants with the same change: what it is, how many of those checked since when, and by id and name those for whom
    there is room.

    `told` counts those whose email had left before, or was on its way. `is_update` marks one that the operator knows
    of, and that has grown.
    """

    what: str
    tenants: int
    checked: int
    since: str
    examples: tuple[tuple[str, str], ...]
    sample: BurstSample | None = None
    is_update: bool = False
    told: int = 0

    @property
    def share(self) -> str:
        """Per cent of those checked since; one decimal for a small share."""
        per_cent = 100 * self.tenants / self.checked
        return f"{per_cent:.1f} %" if per_cent < 10 else f"{per_cent:.0f} %"


@dataclass(frozen=True, slots=True)
class BrakeMessage:
    """To the operator: emails to CSMs are held."""

    template: ClassVar[str] = "brake"
    bursts: tuple[Burst, ...]

    @property
    def is_update(self) -> bool:
        return all(burst.is_update for burst in self.bursts)


@dataclass(frozen=True, slots=True)
class AlarmMessage:
    """To the operator: a write probe got an answer that no probe should get."""

    template: ClassVar[str] = "alarm"
    tenant: str
    tenant_id: str
    credential: str
    endpoint: str
    status: int
    at: str
    request_id: str
    record_id: str
    stops: str


@dataclass(frozen=True, slots=True)
class PauseMessage:
    """To the operator: all checks are paused. `troubles` are breaker signs and their number of tenants, most first.

    A pause lasts `first_pause` at first, and `longest_pause` at most.
    """

    template: ClassVar[str] = "pause"
    troubles: tuple[tuple[str, int], ...]
    in_trouble: int
    checked: int
    since: str
    paused_at: str
    first_pause: str
    longest_pause: str


@dataclass(frozen=True, slots=True)
class ResumeMessage:
    """To the operator: checks have resumed after a long pause."""

    template: ClassVar[str] = "resume"
    paused_at: str
    resumed_at: str
    lasted: str


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """To the operator: the template `name` cannot be used, and its emails go out as fallback text."""

    template: ClassVar[str] = "template"
    name: str
    problem: str
    version: str


@dataclass(frozen=True, slots=True)
class FailedNotice:
    """A notice that was refused for good, or given up; or that `is_tried` still, and refused each time."""

    number: int
    recipient: str
    subject: str
    reason: str
    is_tried: bool = False


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """To the operator: notices that never reached their readers. `more` counts those for which there is no room."""

    template: ClassVar[str] = "failed"
    notices: tuple[FailedNotice, ...]
    more: int

    @property
    def tried(self) -> tuple[FailedNotice, ...]:
        return tuple(notice for notice in self.notices if notice.is_tried)

    @property
    def given_up(self) -> tuple[FailedNotice, ...]:
        return tuple(notice for notice in self.notices if not notice.is_tried)

    @property
    def total(self) -> int:
        return len(self.notices) + self.more


Message = (
    CsmMessage
    | RetiredMessage
    | DigestMessage
    | BrakeMessage
    | AlarmMessage
    | PauseMessage
    | ResumeMessage
    | TemplateMessage
    | FailedMessage
)
