"""Whose matter a scope is that a partner's client has lost: one customer's, or the vendor's with Greenhouse. Pure.

Greenhouse gives a partner one client with one set of scopes for all customers, and enforces a removal at once for every
token (Greenhouse, "Handling scope changes"). A customer who connects anew gets what the client has. So what one partner
tenant lacks and another still has is a matter of that customer; what all of them lack no customer can give back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitor.drift import EventKind
from monitor.incidents import Audience
from monitor.notices.causes import OpenCause
from monitor.notices.policy import CLOCKS_DIFFER, Policy

PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class Holders:
    """Partner credentials that have a permission, as last seen, and when the latest of them was looked at in full."""

    number: int
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class Partners:
    """How many partner credentials work, and who of them holds what, by permission; no entry where nobody does."""

    credentials: int = 0
    holders: Mapping[str, Holders] = field(default_factory=dict)


def in_question(causes: Iterable[OpenCause]) -> frozenset[str]:
    """The permissions of which `Partners` has to tell."""
    return frozenset(cause.permission_id for cause in causes if cause.permission_id and _may_be_shared(cause))


def sorted_out(causes: Iterable[OpenCause], partners: Partners, policy: Policy, now: datetime) -> list[OpenCause]:
    """The causes that can be told by now; what is the vendor's matter is the operator's to hear."""
    found = []
    for cause in causes:
        if not _may_be_shared(cause) or partners.credentials < 2:
            found.append(cause)
        elif (holders := partners.holders.get(cause.permission_id or "")) is None:
            found.append(replace(cause, audience=Audience.OPERATOR))
        elif holders.looked_at > (cause.first_seen or cause.at) or _has_waited(cause, policy, now):
            found.append(cause)
    return found


def shared(causes: Iterable[OpenCause], partners: Partners) -> tuple[str, ...]:
    """Labels of what every partner credential lacks by now, of these causes."""
    lost = [cause for cause in causes if cause.kind is EventKind.LOST and cause.credential_grant == PARTNER]
    labels = [cause.permission_label or "" for cause in lost if cause.permission_id not in partners.holders]
    return tuple(dict.fromkeys(labels)) if partners.credentials > 1 else ()


def _may_be_shared(cause: OpenCause) -> bool:
    lost = cause.kind is EventKind.LOST and cause.held_in is None
    return lost and cause.audience is Audience.CSM and cause.credential_grant == PARTNER


def _has_waited(cause: OpenCause, policy: Policy, now: datetime) -> bool:
    """Within one interval everybody else is looked at; an outage that keeps us from it is no reason to wait longer."""
    return not -CLOCKS_DIFFER <= now - cause.created_at < policy.interval + policy.settle
