"""The brake: if more tenants change alike than chance explains, the reason is usually ours or Greenhouse's. Pure.

A key is what tenants may have in common: one permission lost, one state of the credential, any permission lost. For
each key: of the n tenants checked since the first of them changed, k changed, within one interval, notified or not. At
least three, and so many by chance less than once in ten thousand: then the key is braked.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.compose.chance import poisson_tail
from monitor.notices.content.messages import Burst, BurstSample
from monitor.notices.policy import NoticePolicy
from monitor.notices.wording import clean, moment

ALWAYS_PASS = 2
CHANCE = 1e-4
ANY_LOST, ANY_REGAINED = (f"{kind}:*" for kind in (EventKind.LOST, EventKind.REGAINED))
_ANY = {
    ANY_LOST: "lost a permission, not all of them the same",
    ANY_REGAINED: "got back a permission, not all the same",
}
GROWN = 2  # times as many as the operator was notified of
_EXAMPLES = 50

_WHAT = {
    EventKind.LOST: "lost the permission",
    EventKind.REGAINED: "got back the permission",
    EventKind.CREDENTIAL_FAILED: "have a credential that became",
    EventKind.RECOVERED: "have a credential that works again",
}


@dataclass(frozen=True, slots=True)
class TenantChange:
    """Some tenant changed in this way: confirmed at `at`, whether anybody was notified (`is_told`) or not."""

    brake_key: str
    tenant_id: str
    at: datetime
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class SampleState:
    """Tenants whose checks were brought forward at `asked_at`; `done` are those checked since, and in no doubt."""

    brake_keys: frozenset[str]
    tenants: frozenset[str]
    asked_at: datetime
    done: frozenset[str]

    @property
    def is_outstanding(self) -> bool:
        return not self.tenants <= self.done

    def concerns(self, key: str) -> bool:
        return any(key in _keys_of(sampled) for sampled in self.brake_keys)


@dataclass(frozen=True, slots=True)
class Reported:
    """When the operator was last notified that a key is braked, and how many tenants there were then."""

    at: datetime
    tenants: int


@dataclass(frozen=True, slots=True)
class Recent:
    """What the brake needs beside the pending causes.

    `changes` are the settled ones of the last interval. `last_checked` has a moment for each tenant checked within it,
    in the order of time.
    """

    changes: tuple[TenantChange, ...] = ()
    last_checked: Sequence[datetime] = ()
    samples: tuple[SampleState, ...] = ()
    reported: Mapping[str, Reported] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wave:
    """More tenants than chance explains: of `checked` tenants since `since`, these changed."""

    tenants: frozenset[str]
    checked: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Brake:
    """`waves` are those of the last interval by key; `still_held` are keys of earlier ones, until an operator acts.

    `held_since` says when the first tenant of a key changed that is in a held notice.
    """

    waves: Mapping[str, Wave]
    still_held: frozenset[str]
    held_since: Mapping[str, datetime]
    causes: tuple[PendingCause, ...]
    recent: Recent
    policy: NoticePolicy
    now: datetime

    def holds(self, causes: Iterable[PendingCause]) -> bool:
        """A notice of these causes must be held. One that was held before stays held until an operator acts."""
        return any(cause.held_in is not None or self._braked(cause.brake_key) for cause in causes)

    def _braked(self, key: str) -> bool:
        return any(name in self.waves for name in _keys_of(key)) or key in self.still_held

    def new_bursts(self, held_now: Iterable[PendingCause]) -> dict[str, Burst]:
        """What the operator is to be notified of: waves held for the first time, and those that have doubled since."""
        newly_held = {key for cause in held_now for key in _keys_of(cause.brake_key)}
        bursts = {key: self._burst(key) for key in sorted(self.waves) if self._is_due(key, key in newly_held)}
        return {key: burst for key, burst in bursts.items() if not (key in _ANY and self._is_explained(key))}

    def _is_due(self, key: str, newly_held: bool) -> bool:
        reported = self._reported(key)
        if reported is None:
            return newly_held or key in self.held_since
        grown = len(self.waves[key].tenants) >= GROWN * reported.tenants
        return grown and self.policy.has_settled(reported.at, self.now)

    def _reported(self, key: str) -> Reported | None:
        """The last report, if it was about those who are held now, and not about an earlier wave."""
        reported, held_since = self.recent.reported.get(key), self.held_since.get(key)
        return reported if reported is not None and held_since is not None and reported.at >= held_since else None

    def _is_explained(self, any_key: str) -> bool:
        """Those who changed in any permission are those who changed in one and the same, but for what always passes."""
        alike = (wave for key, wave in self.waves.items() if key != any_key and any_key in _keys_of(key))
        largest = max((len(wave.tenants) for wave in alike), default=0)
        return len(self.waves[any_key].tenants) - largest <= ALWAYS_PASS

    def _burst(self, key: str) -> Burst:
        wave = self.waves[key]
        theirs = [cause for cause in self.causes if key in _keys_of(cause.brake_key)]
        names = {cause.tenant_id: clean(cause.tenant_name) for cause in theirs}
        return Burst(
            what=_ANY.get(key) or _what(theirs[0]),
            tenants=len(wave.tenants),
            checked=wave.checked,
            since=moment(wave.since),
            examples=tuple(sorted(names.items()))[:_EXAMPLES],
            sample=self._sample(key),
            is_update=self._reported(key) is not None,
            told=len(
                wave.tenants & {c.tenant_id for c in self.recent.changes if c.is_told and key in _keys_of(c.brake_key)}
            ),
        )

    def _sample(self, key: str) -> BurstSample | None:
        samples = [sample for sample in self.recent.samples if sample.concerns(key)]
        done = frozenset[str]().union(*(sample.done for sample in samples))
        if not done:
            return None
        return BurstSample(len(done), len(done & self.waves[key].tenants))


def judge(pending: Iterable[PendingCause], recent: Recent, policy: NoticePolicy, now: datetime) -> Brake:
    """`pending` are the causes of all tenants, held ones included. What is not settled counts, however old it is."""
    causes = tuple(cause for cause in pending if cause.audience is Audience.CSM)
    since = now - policy.interval
    current = [cause for cause in causes if cause.held_in is None or cause.created_at >= since]
    changes = (TenantChange(cause.brake_key, cause.tenant_id, min(cause.created_at, now)) for cause in current)
    changed_at = _by_key([*recent.changes, *changes])
    waves = {
        key: wave
        for key, tenants in changed_at.items()
        if (wave := _wave(tenants, recent.last_checked, policy.background_rate(key in _ANY))) is not None
    }
    held = [cause for cause in causes if cause.held_in is not None]
    return Brake(waves, _shared_by_many(held), _first_of_each_key(held), causes, recent, policy, now)


def _shared_by_many(held: Iterable[PendingCause]) -> frozenset[str]:
    tenants: dict[str, set[str]] = {}
    for cause in held:
        tenants.setdefault(cause.brake_key, set()).add(cause.tenant_id)
    return frozenset(key for key, members in tenants.items() if len(members) > ALWAYS_PASS)


def _first_of_each_key(held: Iterable[PendingCause]) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for cause in held:
        for key in _keys_of(cause.brake_key):
            first[key] = min(cause.created_at, first.get(key, cause.created_at))
    return first


def exceeds_chance(changed: int, checked: int, rate: float) -> bool:
    """So many of the checked tenants changed that chance does not explain it, at this rate for each check."""
    return changed > ALWAYS_PASS and poisson_tail(changed, max(checked, changed) * rate) < CHANCE


def _wave(changed_at: Mapping[str, datetime], last_checked: Sequence[datetime], rate: float) -> Wave | None:
    """The longest one: the first to change may have done so by chance, before the trouble of the others began."""
    in_order = sorted(changed_at.items(), key=lambda item: (item[1], item[0]))
    for number, (_, since) in enumerate(in_order):
        changed = len(in_order) - number
        checked = max(len(last_checked) - bisect_left(last_checked, since), changed)
        if exceeds_chance(changed, checked, rate):
            return Wave(frozenset(tenant for tenant, _ in in_order[number:]), checked, since)
    return None


def _by_key(changes: Iterable[TenantChange]) -> dict[str, dict[str, datetime]]:
    """When each tenant last changed in that way."""
    found: dict[str, dict[str, datetime]] = {}
    for change in changes:
        for key in _keys_of(change.brake_key):
            tenants = found.setdefault(key, {})
            tenants[change.tenant_id] = max(change.at, tenants.get(change.tenant_id, change.at))
    return found


def _keys_of(key: str) -> tuple[str, ...]:
    any_permission = f"{key.partition(':')[0]}:*"
    return (key, any_permission) if any_permission in _ANY else (key,)


def _what(cause: PendingCause) -> str:
    words = _WHAT[cause.kind]
    if cause.permission_label:
        return f"{words} “{clean(cause.permission_label)}” ({clean(cause.permission_group or '')})"
    return f"{words} {cause.state}" if cause.kind is EventKind.CREDENTIAL_FAILED else words
