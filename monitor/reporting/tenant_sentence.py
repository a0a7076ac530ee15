"""What a tenant's page says on top: how it stands, since when, who was told, what next. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from checks.connection_failure import OURS, FailureCode
from checks.credential import CredentialState
from checks.reasons import advice
from monitor.drift import EventKind
from monitor.incidents.history_queries import PastEvent
from monitor.incidents.status import TenantStatus
from monitor.notices.wording import counted
from monitor.reporting.change_cause import CauseOrigin, ChangeCause
from monitor.reporting.headline import Tone
from monitor.reporting.sentence import Link, Name, PermissionLabel, Piece, Sentence, listed, say
from monitor.reporting.tenant_page import TenantPage
from monitor.reporting.told import Telling

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class TenantHeadline:
    tone: Tone
    mark: str
    said: Sentence
    next_step: Sentence


def tenant_headline(tenant: TenantPage, cause: ChangeCause | None = None) -> TenantHeadline:
    """`cause` is that of its present trouble: nobody is asked for what is not their doing."""
    tone, say_it, next_step = _BY_STATUS[tenant.status]
    said = say(Name(tenant.name), *say_it(tenant))
    step = _decide_on_all(tenant) if is_shared(cause) else next_step(tenant)
    return TenantHeadline(tone, tenant.status, said, say(*step))


def is_shared(cause: ChangeCause | None) -> bool:
    """The customer did not do it, as far as checks can tell."""
    return cause is not None and cause.origin in (CauseOrigin.NOT_CUSTOMER, CauseOrigin.GREENHOUSE, CauseOrigin.OURS)


def _decide_on_all(tenant: TenantPage) -> list[Piece]:
    if tenant.burst is None:
        return ["Mend it, then check now. Do not ask the customer."]
    page = Link("the page of this change", f"/bursts/{tenant.burst}")
    return ["Do not ask the customer for it yet: others are concerned as well. What to do is on ", page, "."]


@dataclass(frozen=True, slots=True)
class SeenMissing:
    """When it happened, as far as checks tell: after the last that saw it granted, and by the first that did not."""

    after: datetime | None
    first_seen: datetime


def seen_missing(events: Iterable[PastEvent], permissions: frozenset[str]) -> SeenMissing | None:
    """From the last loss of each of these permissions."""
    last = {e.permission_id: e for e in events if e.permission_id in permissions and e.kind in _LOSSES}
    if not last:
        return None
    befores = [e.seen_before for e in last.values()]
    known = [before for before in befores if before is not None]
    first = max(e.first_seen or e.at for e in last.values())
    return SeenMissing(min(known) if len(known) == len(befores) else None, first)


_LOSSES = (EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED)


def _drifted(tenant: TenantPage) -> list[Piece]:
    missing = {key: known for c in tenant.credentials for key, known in c.permissions.items() if known.missing}
    labels = [known.label for known in missing.values()]
    what: list[Piece] = listed([PermissionLabel(label) for label in labels])
    if len(labels) > MOST_NAMED:
        groups = len({known.group for known in missing.values()})
        what = [f"{counted(len(labels), 'permission')} in {counted(groups, 'group')}"]
    is_first = all(known.origin == EventKind.FOUND for known in missing.values())
    verb = " lacks " if is_first else " lost "
    return [verb, *what, *_window(tenant, frozenset(missing)), ". ", *_told(tenant)]


def _window(tenant: TenantPage, missing: frozenset[str]) -> list[Piece]:
    seen = seen_missing(tenant.events, missing)
    if seen is None:
        return [" since ", tenant.since]
    if seen.after is None:
        return [", first seen missing ", seen.first_seen]
    return [" after ", seen.after, ", seen missing ", seen.first_seen]


def _told(tenant: TenantPage) -> list[Piece]:
    told = tenant.told
    if told is None:
        return ["Nobody was told."]
    match told.telling:
        case Telling.SENT:
            return [Name(told.reader or "The operator"), " was emailed ", *([told.at] if told.at else []), "."]
        case Telling.HELD:
            return ["The email is held, so nobody was told."]
        case Telling.FAILED:
            return ["The email failed, so nobody was told."]
        case Telling.DROPPED:
            return ["The email was dropped, so nobody is told."]
        case Telling.PENDING:
            return ["An email to ", Name(told.reader or "the operator"), " waits to be sent."]
    return ["Nobody was told yet: changes are collected before an email is written."]


_STATES = {
    CredentialState.INVALID: "Greenhouse rejects its credential",
    CredentialState.BLOCKED: "Greenhouse refuses every request with its credential",
    CredentialState.RETIRED: "Greenhouse retired the API that its credential is for",
    CredentialState.UNREACHABLE: "no usable answer comes for its credential",
    CredentialState.MISCONFIGURED: "its secret or its row in the tenants file is wrong",
}


def _failing(tenant: TenantPage) -> list[Piece]:
    if not tenant.credentials:
        return [": its row in the tenants file is wrong since ", tenant.since, "."]
    worst = max(tenant.credentials, key=lambda c: c.state.severity)
    since = worst.state_since or tenant.since
    why = f": {_cause(worst.meaning)}" if worst.state is CredentialState.UNREACHABLE and worst.meaning else ""
    return [f": {_STATES.get(worst.state, 'its credential fails')} since ", since, f"{why}. ", *_told(tenant)]


def _cause(meaning: str) -> str:
    """Without the advice behind the colon."""
    return meaning.partition(":")[0]


def _undecided(tenant: TenantPage) -> list[Piece]:
    number = sum(c.undecided for c in tenant.credentials)
    return [" is undecided since ", tenant.since, f": {counted(number, 'permission')} cannot be proved either way."]


def _new(tenant: TenantPage) -> list[Piece]:
    return [" is new: its first check is to come, or to be confirmed."]


def _healthy(tenant: TenantPage) -> list[Piece]:
    granted = sum(c.granted for c in tenant.credentials)
    unchecked = sum(c.unchecked for c in tenant.credentials)
    more = f"; {unchecked} cannot be checked" if unchecked else ""
    return [" is healthy since ", tenant.since, f": {counted(granted, 'permission')} granted{more}."]


def _paused(tenant: TenantPage) -> list[Piece]:
    return [" is paused since ", tenant.since, ": it is not checked, and what you see is what was known then."]


def _removed(tenant: TenantPage) -> list[Piece]:
    return [" was removed from the tenants file ", tenant.since, ". What you see is what was known then."]


def _customer_acts(tenant: TenantPage) -> list[Piece]:
    if tenant.told is not None and tenant.told.telling is Telling.FAILED:
        retry = Link("retry it", f"/notices/{tenant.told.notice}")
        return ["The email failed: ", retry, ", or tell ", Name(tenant.reader), " what stands below in another way."]
    restored: Piece = "When they are restored, the next check sees it, and whoever was told is told of that, too."
    return ["Ask the customer for what stands below. ", restored]


def _by_state(tenant: TenantPage) -> list[Piece]:
    worst = max(tenant.credentials, key=lambda c: c.state.severity, default=None)
    match worst.state if worst else CredentialState.MISCONFIGURED:
        case CredentialState.MISCONFIGURED:
            return ["Ours to mend: correct the tenants file or the stored secret, then check now."]
        case CredentialState.INVALID:
            return ["Ask the customer to look at the credential, as below."]
        case CredentialState.RETIRED:
            return ["The customer needs a credential of Harvest v3."]
        case CredentialState.BLOCKED:
            return ["Ask the customer whether the credential is restricted to IP addresses, and compare with ours."]
    return _goes_on(worst.detail if worst else "")


def _goes_on(detail: str) -> list[Piece]:
    told = advice(detail) if detail in frozenset(FailureCode) else ""
    if detail in OURS:
        return [f"Ours to mend: {told}."]
    more = f"{told[:1].upper()}{told[1:]}. " if told else ""
    return [f"Checks go on. {more}Nobody is told before it is certain that this is not Greenhouse or the network."]


def _nothing(tenant: TenantPage) -> list[Piece]:
    return ["Nothing to do."]


def _explains(tenant: TenantPage) -> list[Piece]:
    return ["The evidence below says why, and what would decide it. Nobody is told while it is undecided."]


_Say = Callable[[TenantPage], list[Piece]]
_BY_STATUS: dict[TenantStatus, tuple[Tone, _Say, _Say]] = {
    TenantStatus.FAILING: (Tone.BAD, _failing, _by_state),
    TenantStatus.DRIFTED: (Tone.BAD, _drifted, _customer_acts),
    TenantStatus.UNDECIDED: (Tone.WARN, _undecided, _explains),
    TenantStatus.NEW: (Tone.CALM, _new, _nothing),
    TenantStatus.HEALTHY: (Tone.CALM, _healthy, _nothing),
    TenantStatus.PAUSED: (Tone.CALM, _paused, _nothing),
    TenantStatus.REMOVED: (Tone.CALM, _removed, _nothing),
}
