"""Drift: (what is known of a credential, what a check found, now) -> what is known now, and the events. Pure."""

from monitor.drift.compare import Turn, compare, difference
from monitor.drift.model import (
    CredentialStanding,
    Event,
    EventKind,
    ExcessStanding,
    Known,
    PermissionStanding,
    Policy,
    Tally,
)

__all__ = [
    "CredentialStanding",
    "Event",
    "EventKind",
    "ExcessStanding",
    "Known",
    "PermissionStanding",
    "Policy",
    "Tally",
    "Turn",
    "compare",
    "difference",
]
