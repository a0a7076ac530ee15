"""How a tenant's causes become the news of its credentials: every foreign text cleaned, every moment in words."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from checks.reasons import DETAILS
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.notices.causes import ENDS, EXCESS, PendingCause, StillMissing
from monitor.notices.content.credential_news import (
    Coverage,
    CredentialNews,
    Group,
    Listing,
    PermissionLine,
    StateChange,
)
from monitor.notices.content.messages import V1Keys
from monitor.notices.content.retired_message import Boxes
from monitor.notices.partners import Partners
from monitor.notices.wording import between, clean, lasting, time_and_day

# Seen at first sight, or new to the manifest: nobody knows since when it is so, only since when it was seen.
_AT_FIRST_SIGHT = frozenset({EventKind.FOUND, EventKind.NEWLY_REQUIRED, EventKind.EXCESS_FOUND})
# Data that laws protect more than others: equal employment opportunity, demographic answers.
_SENSITIVE = re.compile("eeoc|demographic", re.IGNORECASE)

Member = TypeVar("Member")

Scopes = Mapping[tuple[str | None, str | None], tuple[str, ...]]
"""The scopes that grant a permission, by the digest of a manifest and an id in it."""


@dataclass(frozen=True, slots=True)
class Background:
    """What a message may add to its causes: impact, effect and scopes of a permission, what is still missing from
    earlier, how many permissions a credential lacks.

    `v1_keys` is known where a cause is about a retired key. `successors` are the boxes to tick on a credential that
    takes another's place, by that one's id; `with_access` tenants with a credential that works; `unaccepted` digests of
    manifests whose scopes are derived and that no operator has accepted.
    """

    impacts: Mapping[str, str] = field(default_factory=dict)
    still_missing: tuple[StillMissing, ...] = ()
    scopes: Scopes = field(default_factory=dict)
    partners: Partners = field(default_factory=dict)
    v1_keys: V1Keys | None = None
    effects: Mapping[str, str] = field(default_factory=dict)
    coverage: Mapping[int, Coverage] = field(default_factory=dict)
    successors: Mapping[int, Boxes | None] = field(default_factory=dict)
    with_access: frozenset[str] = frozenset()
    unaccepted: frozenset[str] = frozenset()

    def scopes_of(self, cause: PendingCause) -> tuple[str, ...]:
        """By the manifest that the cause was found with; by another that has the permission if that is not known."""
        asked = (cause.manifest_digest, cause.permission_id)
        known = (scopes for (_, permission), scopes in self.scopes.items() if permission == cause.permission_id)
        return self.scopes[asked] if asked in self.scopes else next(known, ())


def credential_news(
    causes: Iterable[PendingCause], background: Background, recipient: str
) -> tuple[CredentialNews, ...]:
    """The causes of one tenant by credential, each in the order of its events, for the reader at this address."""
    ordered = sorted(causes, key=attrgetter("credential_id", "event_id", "id"))
    by_credential = groupby(ordered, key=attrgetter("credential_id"))
    return tuple(_news_of_one(list(of_one), background, recipient) for _, of_one in by_credential)


def _news_of_one(causes: list[PendingCause], background: Background, recipient: str) -> CredentialNews:
    first, still_missing = causes[0], _still_missing(causes, background)
    kinds = dict.fromkeys(cause.kind for cause in causes if cause.permission_id)
    return CredentialNews(
        label=clean(first.credential_label),
        kind=first.credential_kind,
        grant=first.credential_grant,
        changes=tuple(_change(cause) for cause in causes if not cause.permission_id),
        listings={kind: _listing([c for c in causes if c.kind == kind], background) for kind in kinds},
        still_missing=_listed(still_missing),
        to_another=any(missing.notified != recipient for missing in still_missing),
        coverage=background.coverage.get(first.credential_id, Coverage()),
        successor=background.successors.get(first.credential_id),
        may_forward=not any(c.credential_grant and c.manifest_digest in background.unaccepted for c in causes),
    )


def _change(cause: PendingCause) -> StateChange:
    meaning = DETAILS.get(cause.detail, "")
    state, detail = clean(cause.state or ""), clean(cause.detail)
    return StateChange(cause.kind, state, detail, window([cause]), meaning, _lasted([cause]))


def _listing(causes: list[PendingCause], background: Background) -> Listing:
    is_shared = len({window([cause]) for cause in causes}) == 1
    groups = _grouped(causes, lambda cause: clean(cause.permission_group or ""))
    return Listing(
        tuple(
            Group(
                name,
                tuple(_permission(cause, background, "" if is_shared else window([cause])) for cause in members),
            )
            for name, members in groups.items()
        ),
        window(causes),
        _lasted(causes),
    )


def _permission(cause: PendingCause, background: Background, window: str) -> PermissionLine:
    is_v3, id_ = cause.credential_grant is not None, cause.permission_id or ""
    label = clean(cause.permission_label or id_)
    return PermissionLine(
        label=label,
        # An excess has no mapping of the manifest; its event says in `detail` how certain it is.
        likely="likely" in (cause.mapping, cause.detail if cause.kind in EXCESS else None),
        window=window,
        impact=clean(background.impacts.get(id_, "")),
        scopes=background.scopes_of(cause) if is_v3 else (),
        effect=clean(background.effects.get(id_, "")),
        is_role=cause.permission_id == ROLE_ID,
        sensitive=is_sensitive(cause),
    )


def is_sensitive(cause: PendingCause) -> bool:
    return bool(_SENSITIVE.search(f"{cause.permission_id} {cause.permission_group} {cause.permission_label}"))


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
        Group(name, tuple(PermissionLine(clean(missing.label)) for missing in members))
        for name, members in groups.items()
    )
    return Listing(listed) if listed else None


def _grouped(members: Iterable[Member], name_of: Callable[[Member], str]) -> dict[str, list[Member]]:
    # In the order of the events, which is that of the manifest and so of Greenhouse's list; not by name.
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(name_of(member), []).append(member)
    return groups


def window(causes: Sequence[PendingCause]) -> str:
    """When it happened to all of them, as checks saw it: after the last one before, and by the first one since."""
    ends = [(_seen_before(cause), cause.first_seen or cause.at) for cause in causes]
    until = max(until for _, until in ends)
    if causes[0].kind in _AT_FIRST_SIGHT:
        return time_and_day(until)
    before = [since for since, _ in ends if since is not None]
    return between(min(before) if len(before) == len(ends) else None, until)


def _seen_before(cause: PendingCause) -> datetime | None:
    # After a clock was set back, the last check before may be dated after the first one that saw it.
    until = cause.first_seen or cause.at
    return cause.seen_before if cause.seen_before is not None and cause.seen_before < until else None


def _lasted(causes: Sequence[PendingCause]) -> str:
    """How long what is over was seen; of several, the longest. Empty where that is not known."""
    spans = [(c.first_seen or c.at) - c.began_at for c in causes if c.kind in ENDS and c.began_at is not None]
    if not spans or min(spans) < timedelta(0):
        return ""
    return f"{'about' if len({*map(lasting, spans)}) == 1 else 'up to'} {lasting(max(spans))}"
