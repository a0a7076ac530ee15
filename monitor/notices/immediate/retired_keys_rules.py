"""Keys that Greenhouse retired: when a CSM gets an email about them, and what it asks of their customers. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checks.errors import ManifestError
from checks.manifest import Manifest
from monitor.config.settings import NoticesMode
from monitor.notices.content.retired_message import (
    Customers,
    OptionalScopes,
    RetiredKey,
    RetiredMessage,
    ScopeRequest,
    boxes,
    scope_groups,
)
from monitor.notices.content.successor import Manifests, needs_acceptance
from monitor.notices.policy import MAX_CLOCK_SKEW, NoticePolicy
from monitor.notices.wording import clean, lasting, time_and_day
from monitor.tenants.declined import declined_ids
from monitor.tenants.v3_migration import V1Key

AGAIN_AFTER = timedelta(days=30)
NAMED = 2000
REQUESTS = 5
# Stored as a notice's `why`, by which the next run and `db check` recognize it: with other words every CSM would get
# the email again at once.
WHY = "retired keys: customers "

_Needs = Mapping[str | None, frozenset[str]]
"""The scopes of a manifest by feature, without what a tenant declined; None is for what every tenant needs."""


@dataclass(frozen=True, slots=True)
class _Alike:
    """Keys whose tenants need the same scopes, apart from features."""

    manifest: Manifest
    needs: _Needs
    keys: list[V1Key]


def gathering(policy: NoticePolicy) -> timedelta:
    """How long the first email waits for other keys of the same CSM, so that one sweep becomes one email.

    A sweep takes one interval; half an interval more is for late checks. In that time every key is checked again, and
    one usable answer ends its `retired` state.
    """
    return policy.interval * 3 / 2 + policy.settle


def is_due(first: datetime, last: datetime | None, policy: NoticePolicy, now: datetime) -> bool:
    """`first` is when the first key became retired, `last` when the same reader last got an email about it, if ever.

    A time in the future came from a wrong clock, and does not wait.
    """
    gathered = first <= now - gathering(policy) or first > now + MAX_CLOCK_SKEW
    return gathered and (last is None or last <= now - AGAIN_AFTER)


def newly_accepted(
    keys: Iterable[V1Key], manifests: Manifests, accepted: Mapping[str, datetime], last: datetime
) -> bool:
    """The last email had nothing to forward for some of these keys, and there is something now.

    `accepted` says by digest when an operator accepted derived scopes.
    """
    digests = {_digest(name, manifests) for name in {key.manifest for key in keys}}
    return any(accepted[digest] > last for digest in digests if digest in accepted)


def _digest(name: str | None, manifests: Manifests) -> str:
    try:
        return manifests(name).digest
    except ManifestError:
        return ""


def address_of(csm_email: str | None) -> str:
    """Identifies a CSM, in whatever case the tenants file writes the address; empty without a CSM."""
    return (csm_email or "").lower()


def why_of(address: str) -> str:
    """The `why` of a notice: by it the next run finds the last notice about this CSM's customers."""
    return WHY + (f"of {address}" if address else "without a CSM")


def recipient_of(csm_email: str | None, policy: NoticePolicy) -> str:
    return csm_email if csm_email and policy.mode is NoticesMode.CSM else policy.operator_mail


def message_to_csm(
    keys: Iterable[V1Key],
    manifests: Manifests,
    policy: NoticePolicy,
    now: datetime,
    *,
    again: bool,
    accepted: Collection[str] = (),
) -> RetiredMessage | None:
    """To one CSM, about those of their retired keys that have been so for the settle time; None if none has.

    `accepted` are the digests of manifests whose derived scopes customers may be asked for.
    """
    settled = [key for key in keys if key.since is not None and policy.has_settled(key.since, now)]
    if not settled:
        return None
    settled.sort(key=lambda key: (key.tenant_name.casefold(), key.tenant_id, key.label))
    alike, unknown = _by_needs(settled, manifests)
    alike.sort(key=lambda group: -len(group.keys))
    beyond = [key for group in alike[REQUESTS:] for key in group.keys]
    return RetiredMessage(
        reader=next((clean(key.csm_name) for key in settled if key.csm_name), ""),
        count=_tenants(settled),
        requests=tuple(_request(group, accepted, now) for group in alike[:REQUESTS]),
        others=_customers(sorted([*unknown, *beyond], key=settled.index), now),
        again=again,
        redirect=_redirect(settled[0], policy),
    )


def _by_needs(keys: Iterable[V1Key], manifests: Manifests) -> tuple[list[_Alike], list[V1Key]]:
    """Keys whose successors need the same scopes, apart from features; and keys for which the scopes are unknown."""
    alike: dict[object, _Alike] = {}
    unknown: list[V1Key] = []
    for key in keys:
        try:
            manifest = manifests(key.manifest)
        except ManifestError:  # reported elsewhere, as that tenant's own problem; it must not stop the others
            unknown.append(key)
            continue
        needs = _needs(key, manifest)
        if needs[None]:
            same = (manifest.name, manifest.digest, tuple(needs.items()))
            alike.setdefault(same, _Alike(manifest, needs, [])).keys.append(key)
        else:
            unknown.append(key)
    return list(alike.values()), unknown


def _needs(key: V1Key, manifest: Manifest) -> _Needs:
    declined = declined_ids(key.declined, manifest)
    wanted = [permission for permission in manifest.permissions if permission.id not in declined]
    return {
        feature: frozenset(name for p in wanted if p.feature == feature for name in p.scopes)
        for feature in (None, *manifest.features)
    }


def _request(group: _Alike, accepted: Collection[str], now: datetime) -> ScopeRequest:
    """What all of them need, and separately what only some need. A feature that none of them has is left out."""
    shared = [f for f in group.manifest.features if all(f in key.features for key in group.keys)]
    common = group.needs[None].union(*(group.needs[feature] for feature in shared))
    optional = [
        OptionalScopes(clean(meaning), scope_groups(group.needs[feature] - common))
        for feature, meaning in group.manifest.features.items()
        if any(feature in key.features for key in group.keys) and group.needs[feature] - common
    ]
    return ScopeRequest(
        customers=_customers(group.keys, now),
        boxes=boxes(common, group.manifest.permissions),
        optional=tuple(optional),
        approved=not needs_acceptance(group.manifest, accepted),
    )


def _customers(keys: Sequence[V1Key], now: datetime) -> Customers:
    named = tuple(
        RetiredKey(clean(key.tenant_name), clean(key.tenant_id), clean(key.label), _since(key.since, now))
        for key in keys[:NAMED]
        if key.since
    )
    return Customers(_tenants(keys), named, unnamed=_tenants(keys[NAMED:]))


def _since(at: datetime, now: datetime) -> str:
    long = now - at >= timedelta(days=2)
    return time_and_day(at) + (f", for {lasting(now - at)}" if long else "")


def _tenants(keys: Iterable[V1Key]) -> int:
    return len({key.tenant_id for key in keys})


def _redirect(key: V1Key, policy: NoticePolicy) -> str:
    if not key.csm_email:
        return "These customers have no CSM in the tenants file, so this email came to you."
    if policy.mode is NoticesMode.CSM:
        return ""
    whom = clean(f"{key.csm_name or ''} <{key.csm_email}>")
    return f"This email is for {whom}. It came to you because all notices go to the operator."
