"""Whose matter a scope is that a partner's client has lost: one customer's, or the vendor's with Greenhouse. Pure.

Greenhouse gives a partner one client with one set of scopes for all customers, and enforces a removal at once for every
token (Greenhouse, "Handling scope changes"). A customer who connects anew gets what the client has. So what one partner
tenant lacks and another still has is a matter of that customer; what all of them lack no customer can give back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.changes import PendingCause
from monitor.notices.policy import CLOCKS_DIFFER, NoticePolicy

PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Holding:
    """Of the partner credentials that work and were judged on a permission: how many, how many have it.

    `looked_at` is when the latest of those that have it was looked at in full.
    """

    judged: int
    holders: int
    looked_at: datetime | None

    @property
    def is_lost_to_all(self) -> bool:
        return self.judged > 1 and self.holders == 0


Partners = Mapping[str, Holding]
"""By permission; only of those that are in question."""


def in_question(causes: Iterable[PendingCause]) -> frozenset[str]:
    """The permissions of which `Partners` has to tell."""
    return frozenset(cause.permission_id for cause in causes if cause.permission_id and _may_be_shared(cause))


def sorted_out(
    causes: Iterable[PendingCause], partners: Partners, policy: NoticePolicy, now: datetime
) -> list[PendingCause]:
    """The causes that can be told by now; what is the vendor's matter is the operator's to hear."""
    found = []
    for cause in causes:
        holding = partners.get(cause.permission_id or "") if _may_be_shared(cause) else None
        if holding is not None and holding.is_lost_to_all:
            found.append(replace(cause, audience=Audience.OPERATOR))
        elif holding is None or _is_told_apart(cause, holding) or _has_waited(cause, policy, now):
            found.append(cause)
    return found


def shared(causes: Iterable[PendingCause], partners: Partners) -> tuple[str, ...]:
    """Labels of what every partner credential lacks by now, of these causes."""
    gone = {name for name, holding in partners.items() if holding.is_lost_to_all}
    lost = [c for c in causes if c.kind is EventKind.LOST and c.credential_grant == PARTNER and c.permission_id in gone]
    return tuple(dict.fromkeys(cause.permission_label or "" for cause in lost))


def _is_told_apart(cause: PendingCause, holding: Holding) -> bool:
    """There is nobody to compare with, or somebody was seen to have it since."""
    seen_since = holding.looked_at is not None and holding.looked_at > (cause.first_seen or cause.at)
    return holding.judged < 2 or seen_since


def _may_be_shared(cause: PendingCause) -> bool:
    """The role is not: each customer connects by somebody of theirs."""
    lost = cause.kind is EventKind.LOST and cause.held_in is None and cause.permission_id != ROLE_ID
    return lost and cause.audience is Audience.CSM and cause.credential_grant == PARTNER


def _has_waited(cause: PendingCause, policy: NoticePolicy, now: datetime) -> bool:
    """Within one interval everybody else is looked at; an outage that keeps us from it is no reason to wait longer."""
    return not -CLOCKS_DIFFER <= now - cause.created_at < policy.interval + policy.settle
