"""How a tenant's causes become the news of its credentials: every foreign text cleaned, every moment in words."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from checks.reasons import DETAILS
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.notices.causes import EXCESS, PendingCause, StillMissing
from monitor.notices.content.credential_news import CredentialNews, Group, Listing, PermissionLine, StateChange, Window
from monitor.notices.content.messages import V1Keys
from monitor.notices.partners import Partners
from monitor.notices.wording import clean, moment

# Captions of the two ends of a window: the last check before the change, and the first one after it.
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

# Of a credential as a whole, what is found at first sight is that it fails.
_AS_STATE: Mapping[EventKind, EventKind] = {EventKind.FOUND: EventKind.CREDENTIAL_FAILED}

Member = TypeVar("Member")

Scopes = Mapping[tuple[str | None, str | None], tuple[str, ...]]
"""The scopes that grant a permission, by the digest of a manifest and an id in it."""


@dataclass(frozen=True, slots=True)
class Background:
    """What a message may add to its causes: impact and scopes of a permission, what is still missing from earlier.

    `v1_keys` is known where a cause is about a retired key.
    """

    impacts: Mapping[str, str] = field(default_factory=dict)
    still_missing: tuple[StillMissing, ...] = ()
    scopes: Scopes = field(default_factory=dict)
    partners: Partners = field(default_factory=dict)
    v1_keys: V1Keys | None = None


def credential_news(
    causes: Iterable[PendingCause], background: Background, recipient: str
) -> tuple[CredentialNews, ...]:
    """The causes of one tenant by credential, each in the order of its events, for the reader at this address."""
    ordered = sorted(causes, key=attrgetter("credential_id", "event_id", "id"))
    by_credential = groupby(ordered, key=attrgetter("credential_id"))
    return tuple(_news_of_one(list(of_one), background, recipient) for _, of_one in by_credential)


def _news_of_one(causes: list[PendingCause], background: Background, recipient: str) -> CredentialNews:
    still_missing = _still_missing(causes, background)
    kinds = dict.fromkeys(cause.kind for cause in causes if cause.permission_id)
    return CredentialNews(
        label=clean(causes[0].credential_label),
        kind=causes[0].credential_kind,
        grant=causes[0].credential_grant,
        changes=tuple(_change(cause) for cause in causes if not cause.permission_id),
        listings={kind: _listing([c for c in causes if c.kind == kind], background) for kind in kinds},
        still_missing=_listed(still_missing),
        to_another=any(missing.notified != recipient for missing in still_missing),
    )


def _change(cause: PendingCause) -> StateChange:
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
        # An excess has no mapping of the manifest; its event says in `detail` how certain it is.
        likely="likely" in (cause.mapping, cause.detail if cause.kind in EXCESS else None),
        window=window,
        impact=clean(background.impacts.get(cause.permission_id or "", "")),
        scopes=background.scopes.get((cause.manifest_digest, cause.permission_id), ()) if is_v3 else (),
        is_role=cause.permission_id == ROLE_ID,
    )


def _still_missing(causes: list[PendingCause], background: Background) -> list[StillMissing]:
    reported_now = {cause.permission_id for cause in causes}
    return [
        missing
        for missing in background.still_missing
        if missing.credential_id == causes[0].credential_id and missing.permission_id not in reported_now
    ]


def _listed(still_missing: list[StillMissing]) -> Listing | None:
    groups = _grouped(still_missing, lambda missing: clean(missing.group))
    listed = tuple(
        Group(name, tuple(PermissionLine(clean(missing.label), False, (), "") for missing in members))
        for name, members in groups.items()
    )
    return Listing(listed, ()) if listed else None


def _grouped(members: Iterable[Member], name_of: Callable[[Member], str]) -> dict[str, list[Member]]:
    # In the order of the events, which is that of the manifest and so of Greenhouse's list; not by name.
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(name_of(member), []).append(member)
    return groups


def _window(cause: PendingCause) -> Window:
    before, after = _CAPTIONS[cause.kind if cause.permission_id else _AS_STATE.get(cause.kind, cause.kind)]
    ends = [(before, cause.seen_before), (after, cause.first_seen or cause.at)]
    return tuple((caption, moment(at)) for caption, at in ends if caption and at)
