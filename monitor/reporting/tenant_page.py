"""One tenant in full: what its page and its JSON say. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from checks.credential import CredentialKind, CredentialState
from checks.manifest import Manifest, Permission
from checks.reasons import DETAILS, REASONS
from checks.report import Verdict
from checks.v1.verdicts import KeyRule
from checks.v3.verdicts import ScopeRule
from monitor.drift import EventKind, KnownExcess, KnownPermission
from monitor.incidents.history_queries import PastEvent
from monitor.incidents.status import TenantStatus
from monitor.notices.content.customer_request import MissingPermission, PresentTrouble
from monitor.notices.content.retired_message import Boxes
from monitor.notices.content.successor import CredentialNeeds, needs_acceptance, successor_boxes
from monitor.notices.notice_queries import ListedNotice
from monitor.reporting.excess_words import may_hold_everything
from monitor.reporting.timeline import Band, CheckedDay, CredentialPast, IncidentSpan, SentEmail, Timeline, bands_of
from monitor.reporting.told import Told
from monitor.reporting.verdict_evidence import VerdictEvidence, verdict_evidence
from monitor.reporting.what_decides import what_decides

_BEGINNINGS = (EventKind.LOST, EventKind.FOUND, EventKind.NEWLY_REQUIRED, EventKind.CREDENTIAL_FAILED)
UNASKED, UNKNOWN = "unasked", "new"
_WORST_FIRST = ("missing", "suspect", "undecided", UNKNOWN, "declined", "not_checkable", "granted")
SENTENCES: Mapping[str, str] = {rule.number: rule.sentence for rules in (KeyRule, ScopeRule) for rule in rules}


@dataclass(frozen=True, slots=True)
class DeclinedPermission:
    """What the tenants file says about a permission that the customer refuses on purpose."""

    reference: str
    since: date | None
    by: str

    @classmethod
    def stored(cls, entry: Mapping[str, str | None]) -> "DeclinedPermission":
        """From the tenant's row in the database."""
        since = entry.get("since")
        return cls(entry.get("reference") or "", date.fromisoformat(since) if since else None, entry.get("by") or "")

    @property
    def words(self) -> str:
        return ", ".join(filter(None, [self.reference, f"recorded by {self.by}" if self.by else ""]))


@dataclass(frozen=True, slots=True)
class PermissionCell:
    """A permission as the matrix shows it. `word` is a verdict, `suspect`, `declined`, `new` or `unasked`.

    `decides` is what would decide it, where it is open; `before_evidence`: an earlier release, which kept no evidence,
    decided it.
    """

    id: str
    label: str
    word: str
    since: datetime | None = None
    rule: str = ""
    reason: str = ""
    likely: bool = False
    last_granted_at: datetime | None = None
    declined: DeclinedPermission | None = None
    decides: str = ""
    evidence: VerdictEvidence | None = None
    before_evidence: bool = False

    @property
    def sentence(self) -> str:
        """The rule in a sentence; a rule of an earlier release has none any more."""
        return SENTENCES.get(self.rule, "")

    @property
    def is_evidence(self) -> bool:
        """It stands among the evidence for what is not granted."""
        return self.word not in (Verdict.GRANTED, UNASKED)

    @property
    def granted_until(self) -> datetime | None:
        return self.last_granted_at if self.word == Verdict.MISSING else None

    @property
    def explanation(self) -> tuple[object, ...]:
        """All that is said of why it stands so, but for the answer to its own request."""
        said = (self.word, self.since, self.granted_until, self.rule, self.reason, self.decides, self.declined)
        seen = self.evidence
        return (*said, self.before_evidence, seen and (seen.others, seen.more, seen.at))


@dataclass(frozen=True, slots=True)
class PermissionGroup:
    name: str
    cells: tuple[PermissionCell, ...]

    @property
    def granted(self) -> int:
        return sum(cell.word == Verdict.GRANTED for cell in self.cells)

    @property
    def asked(self) -> int:
        return sum(cell.word != UNASKED for cell in self.cells)


@dataclass(frozen=True, slots=True)
class CredentialPage:
    """One credential with what is known about its permissions. `manifest` is None where it cannot be read any more."""

    id: int
    label: str
    kind: str
    grant: str | None
    state: CredentialState
    detail: str
    state_since: datetime | None
    suspect_state: str | None
    fingerprint: str | None
    last_checked_at: datetime | None
    next_due: datetime | None
    granted: int
    missing: int
    undecided: int
    unchecked: int
    permissions: Mapping[str, KnownPermission]
    excess: Mapping[str, KnownExcess]
    manifest: Manifest | None

    @property
    def meaning(self) -> str:
        return DETAILS.get(self.detail, self.detail)

    @property
    def may_hold_everything(self) -> bool:
        return may_hold_everything(self.permissions.values())


@dataclass(frozen=True, slots=True)
class TenantPage:
    """`declined` is by permission, as the tenants file names it: id or label; `bursts` are by event."""

    id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    status: TenantStatus
    since: datetime
    problem: str | None
    paused: Mapping[str, str | None] | None
    features: frozenset[str]
    write_probes: str | None
    declined: Mapping[str, DeclinedPermission]
    credentials: tuple[CredentialPage, ...]
    events: Sequence[PastEvent]
    bursts: Mapping[int, int]
    incidents: tuple[IncidentSpan, ...]
    notices: tuple[ListedNotice, ...]
    days: tuple[CheckedDay, ...]
    checks: tuple[datetime, ...]
    told: Told | None

    @property
    def reader(self) -> str:
        return self.csm_name or self.csm_email or "its CSM"

    @property
    def next_due(self) -> datetime | None:
        """Of the credentials in trouble, if some are: another one's check brings no news of them."""
        in_trouble = [c for c in self.credentials if c.state is not CredentialState.OK or c.missing or c.undecided]
        return min((c.next_due for c in in_trouble or self.credentials if c.next_due), default=None)

    @property
    def last_checked_at(self) -> datetime | None:
        return max((c.last_checked_at for c in self.credentials if c.last_checked_at), default=None)

    @property
    def burst(self) -> int | None:
        """That of the newest change which is still in force: its cause is the cause of the tenant's present trouble."""
        missing = {key for c in self.credentials for key, known in c.permissions.items() if known.missing}
        failing = any(c.state is not CredentialState.OK for c in self.credentials)
        in_force = (
            event.id
            for event in reversed(self.events)
            if (event.permission_id in missing if event.permission_id else failing) and event.kind in _BEGINNINGS
        )
        return next((self.bursts[event] for event in in_force if event in self.bursts), None)

    @property
    def missing(self) -> int:
        return sum(c.missing for c in self.credentials)

    def declined_as(self, permission: Permission) -> DeclinedPermission | None:
        return self.declined.get(permission.id) or self.declined.get(permission.label)

    def is_asked(self, permission: Permission) -> bool:
        return permission.feature is None or permission.feature in self.features


def groups(tenant: TenantPage, credential: CredentialPage) -> tuple[PermissionGroup, ...]:
    """Every permission of the manifest in the order of Greenhouse's screen, so that box can be compared with box."""
    manifest = credential.manifest
    if manifest is None:
        return ()
    labels = {permission.endpoint: permission.label for permission in manifest.permissions if permission.endpoint}
    cells: dict[str, list[PermissionCell]] = {name: [] for name in manifest.groups}
    for permission in manifest.permissions:
        cells.setdefault(permission.group, []).append(_cell(tenant, credential, permission, labels))
    return tuple(PermissionGroup(name, tuple(members)) for name, members in cells.items() if members)


def by_explanation(groups: Iterable[PermissionGroup], *, granted_too: bool) -> list[list[PermissionCell]]:
    """The permissions with evidence, the worst first; what stands so for the same reasons, said once, is together."""
    together: dict[object, list[PermissionCell]] = {}
    for group in groups:
        for cell in group.cells:
            if cell.is_evidence or (granted_too and cell.word != UNASKED):
                together.setdefault(cell.explanation, []).append(cell)
    return sorted(together.values(), key=lambda cells: _WORST_FIRST.index(cells[0].word))


def _cell(
    tenant: TenantPage, credential: CredentialPage, permission: Permission, labels: Mapping[str, str]
) -> PermissionCell:
    likely = permission.mapping == "likely"
    declined = tenant.declined_as(permission)
    if not tenant.is_asked(permission):
        return PermissionCell(permission.id, permission.label, UNASKED, likely=likely)
    if declined is not None:
        return PermissionCell(permission.id, permission.label, "declined", likely=likely, declined=declined)
    known = credential.permissions.get(permission.id)
    if known is None:
        return PermissionCell(permission.id, permission.label, UNKNOWN, likely=likely)
    standing = _standing(known)
    asked = permission.endpoint if credential.kind == CredentialKind.HARVEST_KEY else None
    return PermissionCell(
        permission.id,
        permission.label,
        standing.word,
        standing.since,
        known.rule if standing.word in (Verdict.GRANTED, Verdict.MISSING) else "",
        standing.reason,
        likely,
        known.last_granted_at,
        decides=standing.decides,
        evidence=verdict_evidence(known, asked, labels) if standing.has_evidence else None,
        before_evidence=standing.has_evidence and known.evidence_at is None,
    )


@dataclass(frozen=True, slots=True)
class _Standing:
    """`has_evidence`: the stored evidence is about this."""

    word: str
    since: datetime | None
    reason: str = ""
    decides: str = ""
    has_evidence: bool = True


def _standing(known: KnownPermission) -> _Standing:
    """The last decided verdict, unless something newer is to be said."""
    if known.undecided_as is not None and not known.missing:
        reason = REASONS.get(known.undecided_reason or "", known.undecided_reason or "")
        decides = what_decides(known.undecided_reason) if known.undecided_as is Verdict.UNDECIDED else ""
        return _Standing(known.undecided_as, known.undecided_since, reason, decides)
    if known.suspect:
        seen = "granted" if known.missing else "missing"
        reason = f"seen {seen} once, not confirmed yet"
        # What is known as missing keeps the evidence of that.
        return _Standing("suspect", known.suspect_since, reason, what_decides(None), has_evidence=not known.missing)
    if known.verdict is None:
        reason = "missing under the secret before this one, and not decided since"
        return _Standing(Verdict.UNDECIDED, known.since, reason, what_decides(None), has_evidence=False)
    return _Standing(known.verdict, known.since)


def may_ask_for_scopes(tenant: TenantPage) -> bool:
    """What the customer is asked for may depend on what an operator accepted."""
    return any(c.state is CredentialState.INVALID or (c.grant is not None and c.missing) for c in tenant.credentials)


def troubles(tenant: TenantPage, accepted: Collection[str]) -> tuple[PresentTrouble, ...]:
    """What the customer could mend, by credential, in the order of Greenhouse's screen.

    `accepted` are the digests of manifests whose derived scopes customers may be asked for.
    """
    return tuple(
        PresentTrouble(
            *(c.label, c.kind, c.grant, c.state, c.detail),
            missing=tuple(_missing(tenant, c)),
            successor=_successor(tenant, c, accepted),
            may_forward=c.grant is None or c.manifest is None or not needs_acceptance(c.manifest, accepted),
        )
        for c in tenant.credentials
    )


def _successor(tenant: TenantPage, credential: CredentialPage, accepted: Collection[str]) -> Boxes | None:
    manifest = credential.manifest
    if manifest is None:
        return None
    needs = CredentialNeeds(manifest.name, tuple(tenant.features), tuple(tenant.declined))
    return successor_boxes(needs, lambda _: manifest, accepted)


def _missing(tenant: TenantPage, credential: CredentialPage) -> list[MissingPermission]:
    """From the manifest, for its order; what it does not name comes last."""
    known = {key: one for key, one in credential.permissions.items() if one.missing}
    listed = credential.manifest.permissions if credential.manifest else ()
    found = [
        MissingPermission(p.id, p.group, p.label, p.mapping == "likely", p.scopes, p.effect)
        for p in listed
        if p.id in known and not tenant.declined_as(p)
    ]
    named = {p.id for p in listed}
    return [*found, *(MissingPermission(key, one.group, one.label) for key, one in known.items() if key not in named)]


def timeline(tenant: TenantPage, begin: datetime, now: datetime) -> Timeline:
    bands = [band for credential in tenant.credentials for band in _bands(tenant, credential, begin)]
    emails = tuple(SentEmail(n.id, n.status, n.sent_at or n.created_at) for n in tenant.notices)
    return Timeline(
        begin,
        now,
        tuple(bands),
        tuple(one for one in tenant.incidents if one.resolved_at is None or one.resolved_at >= begin),
        tuple(one for one in emails if one.at >= begin),
        tenant.days,
        tenant.checks,
    )


def _bands(tenant: TenantPage, credential: CredentialPage, begin: datetime) -> tuple[Band, ...]:
    listed = credential.manifest.permissions if credential.manifest else ()
    asked = {p.group for p in listed if tenant.is_asked(p)}
    names = tuple(dict.fromkeys(p.group for p in listed)) or tuple(
        dict.fromkeys(known.group for known in credential.permissions.values())
    )
    past = CredentialPast(
        credential.label,
        credential.permissions,
        [event for event in tenant.events if event.credential_label == credential.label],
        {name: declined.since for name, declined in tenant.declined.items()},
        credential.state_since if credential.state is not CredentialState.OK else None,
        credential.state,
    )
    return bands_of(past, names, [name for name in names if listed and name not in asked], begin)
