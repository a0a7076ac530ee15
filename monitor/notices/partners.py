"""Whether a scope lost by a partner's client concerns one customer, or the vendor and Greenhouse. Pure.

Greenhouse gives a partner one client with one set of scopes for all customers, and a removal takes effect at once for
every token (Greenhouse, "Handling scope changes"). A customer who reconnects gets the scopes the client has. So a scope
that one partner tenant lacks and another still has is that customer's to restore; one that all of them lack is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.policy import MAX_CLOCK_SKEW, NoticePolicy

PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class PartnerCoverage:
    """Of the working partner credentials with a verdict on a permission: how many there are, how many have it.

    `last_seen` is the latest complete check of one that has it.
    """

    judged: int
    granted: int
    last_seen: datetime | None

    @property
    def is_lost_to_all(self) -> bool:
        return self.judged > 1 and self.granted == 0

    @property
    def missing(self) -> int:
        return self.judged - self.granted


Partners = Mapping[str, PartnerCoverage]
"""By permission; only those that some cause asks about."""


def partner_permissions(causes: Iterable[PendingCause]) -> frozenset[str]:
    """The permissions whose coverage decides who is notified."""
    return frozenset(cause.permission_id for cause in causes if cause.permission_id and _may_concern_all(cause))


@dataclass(frozen=True, slots=True)
class Routing:
    """`waiting` causes have no audience yet: until others were checked, nobody knows whether all customers lack it."""

    routed: tuple[PendingCause, ...]
    waiting: tuple[PendingCause, ...]


def route_partner_losses(
    causes: Iterable[PendingCause], partners: Partners, policy: NoticePolicy, now: datetime
) -> Routing:
    """What all partner tenants lack goes to the operator."""
    routed, waiting = [], []
    for cause in causes:
        coverage = partners.get(cause.permission_id or "") if _may_concern_all(cause) else None
        if coverage is None or _concerns_one(cause, coverage):
            routed.append(cause)
        elif coverage.is_lost_to_all:
            routed.append(_of_all(cause))
        elif _has_waited(cause, policy, now):
            # One that no check can tell about must not hide what all others lost.
            routed.append(_of_all(cause) if coverage.missing > 1 else cause)
        else:
            waiting.append(cause)
    return Routing(tuple(routed), tuple(waiting))


def lost_to_all(causes: Iterable[PendingCause]) -> tuple[str, ...]:
    """Labels of the permissions among these causes that no partner credential is seen to have any more."""
    return tuple(dict.fromkeys(cause.permission_label or "" for cause in causes if cause.concerns_all))


def _of_all(cause: PendingCause) -> PendingCause:
    return replace(cause, audience=Audience.OPERATOR, concerns_all=True)


def _concerns_one(cause: PendingCause, coverage: PartnerCoverage) -> bool:
    """There is no other customer to compare with, or one was seen to have it since."""
    seen_since = coverage.last_seen is not None and coverage.last_seen > (cause.first_seen or cause.at)
    return coverage.judged < 2 or seen_since


def _may_concern_all(cause: PendingCause) -> bool:
    """The user's role never does: each customer connects through a user of their own."""
    lost = cause.kind is EventKind.LOST and cause.held_in is None and cause.permission_id != ROLE_ID
    return lost and cause.audience is Audience.CSM and cause.credential_grant == PARTNER


def _has_waited(cause: PendingCause, policy: NoticePolicy, now: datetime) -> bool:
    """Every other tenant is checked within one interval; an outage that prevents that is no reason to wait longer."""
    return not -MAX_CLOCK_SKEW <= now - cause.created_at < policy.interval + policy.settle
