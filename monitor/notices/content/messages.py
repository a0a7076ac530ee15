"""What a mail says, as values the templates print: every foreign text cleaned, every moment in words.

The templates hold the sentences; nothing here knows whether it becomes text or HTML.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import ClassVar, TypeVar

from checks.catalogue.scopes import grouped
from checks.reasons import DETAILS
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.notices.changes import EXCESS, PendingCause
from monitor.notices.content.retired_message import RetiredMessage, ScopeGroup
from monitor.notices.partners import Partners

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")

# Captions of the two ends of a window: what was seen last before it, and what was seen first after it.
_CAPTIONS: Mapping[EventKind, tuple[str | None, str]] = {
    EventKind.LOST: ("Last seen granted", "First seen missing"),
    EventKind.REGAINED: ("Last seen missing", "Seen granted again"),
    EventKind.FOUND: (None, "First seen missing"),
    EventKind.NEWLY_REQUIRED: (None, "First seen missing"),
    EventKind.EXCESS_FOUND: (None, "First seen granted"),
    EventKind.EXCESS_GONE: ("Last seen granted", "First seen refused"),
    EventKind.CREDENTIAL_FAILED: ("Last seen working", "First seen failing"),
    EventKind.RECOVERED: ("Last seen failing", "Seen working again"),
}

Member = TypeVar("Member")

Scopes = Mapping[tuple[str | None, str | None], tuple[str, ...]]
"""The scopes that carry a permission, by the digest of a manifest and an id in it."""

Window = tuple[tuple[str, str], ...]
"""Caption and moment, in the order of time."""


def clean(text: str) -> str:
    """One line without control characters or marks that turn the direction of writing."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def duration(span: timedelta) -> str:
    """A span in the largest unit that fits without a rest: `15 minutes`, `4 hours`, `90 seconds`."""
    seconds = round(span.total_seconds())
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return counted(seconds // size, unit)
    return counted(seconds, "second")


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@dataclass(frozen=True, slots=True)
class PermissionLine:
    """`scopes` are those that carry it on Harvest v3, by name; `is_role` marks the role of a token's user."""

    label: str
    likely: bool
    window: Window
    impact: str
    scopes: tuple[str, ...] = ()
    is_role: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    permissions: tuple[PermissionLine, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Permissions that turned the same way, by group. `window` is what they share; else each has its own."""

    groups: tuple[Group, ...]
    window: Window

    @property
    def permissions(self) -> tuple[PermissionLine, ...]:
        return tuple(permission for group in self.groups for permission in group.permissions)

    @property
    def count(self) -> int:
        return len(self.permissions)

    @property
    def likely(self) -> int:
        return sum(permission.likely for permission in self.permissions)

    @property
    def has_role(self) -> bool:
        return any(permission.is_role for permission in self.permissions)

    @property
    def scopes(self) -> tuple[ScopeGroup, ...]:
        """What there is to tick on Harvest v3, as Greenhouse's screen groups it; labels where no scope is known."""
        names = [name for permission in self.permissions for name in permission.scopes]
        known = [ScopeGroup(group, tuple(one.title for one in of_one)) for group, of_one in grouped(names).items()]
        rest = [
            ScopeGroup(group.name, labels)
            for group in self.groups
            if (labels := tuple(p.label for p in group.permissions if not p.scopes and not p.is_role))
        ]
        return (*known, *rest)

    @property
    def scope_count(self) -> int:
        return sum(len(group.titles) for group in self.scopes)


@dataclass(frozen=True, slots=True)
class StateChange:
    """A credential as a whole changed: its state, and since when. `meaning` is that of a detail that is a code."""

    kind: EventKind
    state: str
    detail: str
    window: Window
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class CredentialNews:
    """What happened to one credential; `listings` by kind of event. `still_missing` was told in an earlier mail.

    `grant` is how a client of Harvest v3 was given, None of a key.
    """

    label: str
    kind: str
    grant: str | None
    turns: tuple[StateChange, ...]
    listings: Mapping[EventKind, Listing]
    still_missing: Listing | None = None

    def listing(self, kind: str) -> Listing | None:
        return self.listings.get(EventKind(kind))

    def turn(self, kind: str) -> StateChange | None:
        return next((turn for turn in self.turns if turn.kind == kind), None)


@dataclass(frozen=True, slots=True)
class CsmMessage:
    """To the CSM of one tenant, or to the operator in their place; `redirect` then says why."""

    template: ClassVar[str] = "csm"
    tenant: str
    reader: str
    credentials: tuple[CredentialNews, ...]
    redirect: str

    def count(self, kind: str) -> int:
        listings = (credential.listing(kind) for credential in self.credentials)
        return sum(listing.count for listing in listings if listing) + sum(
            turn.kind == kind for credential in self.credentials for turn in credential.turns
        )

    def first_label(self, kind: str) -> str:
        listings = (credential.listing(kind) for credential in self.credentials)
        return next(listing.permissions[0].label for listing in listings if listing)

    @property
    def asks(self) -> bool:
        """There is something the customer can do about it."""
        return self.count("lost") + self.count("credential_failed") > 0

    @property
    def is_open(self) -> bool:
        """Something the reader was told of earlier is still missing."""
        return any(credential.still_missing for credential in self.credentials)


@dataclass(frozen=True, slots=True)
class TenantNews:
    id: str
    name: str
    credentials: tuple[CredentialNews, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class DigestMessage:
    """To the operator: the news of one run of the composer. `brief` are tenants there was no room to tell in full.

    `shared` are labels of what every customer of a partner's client lacks.
    """

    template: ClassVar[str] = "digest"
    tenants: tuple[TenantNews, ...]
    brief: tuple[TenantNews, ...]
    unnamed: int
    shared: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return len(self.tenants) + len(self.brief) + self.unnamed


@dataclass(frozen=True, slots=True)
class Burst:
    """Tenants that turned alike: how many, what happened to them, and a few of them by name and id."""

    what: str
    tenants: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BrakeMessage:
    """To the operator: mail to CSMs is held."""

    template: ClassVar[str] = "brake"
    waves: tuple[Burst, ...]
    limit: int
    active_tenants: int
    settle: str


@dataclass(frozen=True, slots=True)
class AlarmMessage:
    """To the operator: a write probe was answered as no probe should be."""

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
    """To the operator: all checks pause. `troubles` are breaker signs with the tenants that met each, most first.

    `first` and `longest` are how long a pause lasts, at first and at most.
    """

    template: ClassVar[str] = "pause"
    troubles: tuple[tuple[str, int], ...]
    in_trouble: int
    heard: int
    since: str
    at: str
    first: str
    longest: str


@dataclass(frozen=True, slots=True)
class ResumeMessage:
    """To the operator: checks go on after a long pause."""

    template: ClassVar[str] = "resume"
    at: str
    until: str
    lasted: str


@dataclass(frozen=True, slots=True)
class TemplateMessage:
    """To the operator: the template `name` can not be used, and its mails have their plain form."""

    template: ClassVar[str] = "template"
    name: str
    problem: str
    version: str


@dataclass(frozen=True, slots=True)
class FailedNotice:
    """A notice that was refused for good, or given up."""

    number: int
    recipient: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """To the operator: notices that never reached their readers. `more` are those there was no room to name."""

    template: ClassVar[str] = "failed"
    notices: tuple[FailedNotice, ...]
    more: int

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


@dataclass(frozen=True, slots=True)
class StillMissing:
    """A permission of a credential whose CSM was told it is missing, and which still is."""

    credential_id: int
    permission_id: str
    group: str
    label: str


@dataclass(frozen=True, slots=True)
class Background:
    """What a mail may add to its causes: impact and scopes of a permission, what is missing since earlier."""

    impacts: Mapping[str, str] = field(default_factory=dict)
    still_missing: tuple[StillMissing, ...] = ()
    scopes: Scopes = field(default_factory=dict)
    partners: Partners = field(default_factory=dict)


def credential_news(causes: Iterable[PendingCause], background: Background) -> tuple[CredentialNews, ...]:
    """The causes of one tenant by credential, each in the order of its events."""
    ordered = sorted(causes, key=attrgetter("credential_id", "event_id", "id"))
    return tuple(
        _news_of_one(list(of_one), background) for _, of_one in groupby(ordered, key=attrgetter("credential_id"))
    )


def _news_of_one(causes: list[PendingCause], background: Background) -> CredentialNews:
    kinds = dict.fromkeys(cause.kind for cause in causes if cause.permission_id)
    return CredentialNews(
        label=clean(causes[0].credential_label),
        kind=causes[0].credential_kind,
        grant=causes[0].credential_grant,
        turns=tuple(_turn(cause) for cause in causes if not cause.permission_id),
        listings={kind: _listing([c for c in causes if c.kind == kind], background) for kind in kinds},
        still_missing=_still_missing(causes, background),
    )


def _turn(cause: PendingCause) -> StateChange:
    meaning = DETAILS.get(cause.detail, "")
    return StateChange(cause.kind, clean(cause.state or ""), clean(cause.detail), _window(cause), meaning)


def _listing(causes: list[PendingCause], background: Background) -> Listing:
    windows = {_window(cause) for cause in causes}
    shared = windows.pop() if len(windows) == 1 else ()
    groups = _grouped(causes, lambda cause: clean(cause.permission_group or ""))
    return Listing(
        tuple(
            Group(name, tuple(_permission(cause, background, () if shared else _window(cause)) for cause in members))
            for name, members in groups.items()
        ),
        shared,
    )


def _permission(cause: PendingCause, background: Background, window: Window) -> PermissionLine:
    is_v3 = cause.credential_grant is not None
    return PermissionLine(
        label=clean(cause.permission_label or cause.permission_id or ""),
        likely="likely" in (cause.mapping, cause.detail if cause.kind in EXCESS else None),
        window=window,
        impact=clean(background.impacts.get(cause.permission_id or "", "")),
        scopes=background.scopes.get((cause.manifest_digest, cause.permission_id), ()) if is_v3 else (),
        is_role=cause.permission_id == ROLE_ID,
    )


def _still_missing(causes: list[PendingCause], background: Background) -> Listing | None:
    told_now = {cause.permission_id for cause in causes}
    rest = [
        missing
        for missing in background.still_missing
        if missing.credential_id == causes[0].credential_id and missing.permission_id not in told_now
    ]
    groups = _grouped(rest, lambda missing: clean(missing.group))
    listed = tuple(
        Group(name, tuple(PermissionLine(clean(missing.label), False, (), "") for missing in members))
        for name, members in groups.items()
    )
    return Listing(listed, ()) if listed else None


def _grouped(members: Iterable[Member], name_of: Callable[[Member], str]) -> dict[str, list[Member]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(name_of(member), []).append(member)
    return groups


def _window(cause: PendingCause) -> Window:
    before, after = _CAPTIONS[cause.kind]
    ends = [(before, cause.seen_before), (after, cause.first_seen or cause.at)]
    return tuple((caption, moment(at)) for caption, at in ends if caption and at)
