"""The brake: when too many tenants turn alike, the fault is more often ours or Greenhouse's than theirs."""

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.changes import PendingCause
from monitor.notices.content.messages import Burst, clean

ALWAYS_PASS = 2
ONE_IN = 20  # five per cent of the active tenants
_EXAMPLES = 3

_WHAT = {
    EventKind.LOST: "lost the permission",
    EventKind.REGAINED: "got back the permission",
    EventKind.CREDENTIAL_FAILED: "have a credential that turned",
    EventKind.RECOVERED: "have a credential that works again",
}


@dataclass(frozen=True, slots=True)
class Brake:
    """`keys` are the brake keys with which more than `limit` tenants turned; `held_before` those on hold already."""

    limit: int
    active_tenants: int
    keys: frozenset[str]
    held_before: frozenset[str]
    causes: tuple[PendingCause, ...]

    def holds(self, causes: Iterable[PendingCause]) -> bool:
        """A notice of these causes is to be held; one that was held stays so until an operator acts."""
        return any(cause.brake_key in self.keys or cause.held_in is not None for cause in causes)

    def waves(self, held_now: Iterable[PendingCause]) -> tuple[Burst, ...]:
        """What the operator has not been told yet: the keys that come to be held for the first time."""
        new = {cause.brake_key for cause in held_now} & self.keys - self.held_before
        return tuple(self._wave(key) for key in sorted(new))

    def _wave(self, key: str) -> Burst:
        causes = [cause for cause in self.causes if cause.brake_key == key]
        tenants = {cause.tenant_id: clean(cause.tenant_name) for cause in causes}
        return Burst(_what(causes[0]), len(tenants), tuple(sorted(tenants.items()))[:_EXAMPLES])


def judge(standing: Iterable[PendingCause], active_tenants: int) -> Brake:
    """`standing` is what is left of all open causes of all tenants, held ones included."""
    limit = max(ALWAYS_PASS, active_tenants // ONE_IN)
    causes = tuple(cause for cause in standing if cause.audience is Audience.CSM)
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
