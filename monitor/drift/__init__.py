"""Drift: (what is known of a credential, what a check found, now) -> what is known now, and the events. Pure."""

from monitor.drift.compare import Change, compare, difference
from monitor.drift.model import (
    Counts,
    DriftPolicy,
    Event,
    EventKind,
    Known,
    KnownCredential,
    KnownExcess,
    KnownPermission,
)

__all__ = [
    "Change",
    "Counts",
    "DriftPolicy",
    "Event",
    "EventKind",
    "Known",
    "KnownCredential",
    "KnownExcess",
    "KnownPermission",
    "compare",
    "difference",
]
