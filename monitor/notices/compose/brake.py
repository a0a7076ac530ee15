"""The brake: if too many tenants change in the same way, the reason is usually ours or Greenhouse's, not theirs."""

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.content.messages import Burst
from monitor.notices.wording import clean

ALWAYS_PASS = 2
ONE_IN = 20  # five per cent of the active tenants
_EXAMPLES = 3

_WHAT = {
    EventKind.LOST: "lost the permission",
    EventKind.REGAINED: "got back the permission",
    EventKind.CREDENTIAL_FAILED: "have a credential that became",
    EventKind.RECOVERED: "have a credential that works again",
}


@dataclass(frozen=True, slots=True)
class Brake:
    """`keys` are the brake keys shared by more than `limit` tenants; `held_before` those of notices held already."""

    limit: int
    active_tenants: int
    keys: frozenset[str]
    held_before: frozenset[str]
    causes: tuple[PendingCause, ...]

    def holds(self, causes: Iterable[PendingCause]) -> bool:
        """A notice of these causes must be held. One that was held before stays held until an operator acts."""
        return any(cause.brake_key in self.keys or cause.held_in is not None for cause in causes)

    def new_bursts(self, held_now: Iterable[PendingCause]) -> tuple[Burst, ...]:
        """The bursts that the operator does not know of yet: their keys are held for the first time."""
        new = {cause.brake_key for cause in held_now} & self.keys - self.held_before
        return tuple(self._burst(key) for key in sorted(new))

    def _burst(self, key: str) -> Burst:
        causes = [cause for cause in self.causes if cause.brake_key == key]
        tenants = {cause.tenant_id: clean(cause.tenant_name) for cause in causes}
        return Burst(_what(causes[0]), len(tenants), tuple(sorted(tenants.items()))[:_EXAMPLES])


def judge(remaining: Iterable[PendingCause], active_tenants: int) -> Brake:
    """`remaining` are the pending causes of all tenants, held ones included, after opposite ones cancelled out."""
    limit = max(ALWAYS_PASS, active_tenants // ONE_IN)
    # Unripe and held causes count: the first of a burst is held because of the others, and later ones with it.
    # The operator's are never held: an outage of everything is one digest.
    causes = tuple(cause for cause in remaining if cause.audience is Audience.CSM)
    tenants: dict[str, set[str]] = {}
    for cause in causes:
        tenants.setdefault(cause.brake_key, set()).add(cause.tenant_id)
    keys = frozenset(key for key, members in tenants.items() if len(members) > limit)
    held_before = frozenset(cause.brake_key for cause in causes if cause.held_in is not None)
    return Brake(limit, active_tenants, keys, held_before, causes)


def _what(cause: PendingCause) -> str:
    words = _WHAT[cause.kind]
    if cause.permission_label:
        return f"{words} “{clean(cause.permission_label)}” ({clean(cause.permission_group or '')})"
    return f"{words} {cause.state}" if cause.kind is EventKind.CREDENTIAL_FAILED else words
