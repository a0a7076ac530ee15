"""From causes to notices: who is told what in which mail, and what is settled without one. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices.changes import CancelledOut, PendingCause, cancel_out
from monitor.notices.compose import flood_guard as braking
from monitor.notices.compose.digest import digest
from monitor.notices.compose.flood_guard import Brake
from monitor.notices.content.messages import (
    Background,
    BrakeMessage,
    Burst,
    CsmMessage,
    Message,
    clean,
    credential_news,
    duration,
)
from monitor.notices.notice import Status
from monitor.notices.partners import sorted_out
from monitor.notices.policy import NoticePolicy


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice before it is worded.

    `tells` are the causes it speaks for; of these it `settles` all but those of the held notices it `replaces`.
    `identity` is what its Message-ID is made of: the same causes give the same identity on every run.
    """

    letter: Message
    audience: Audience
    recipient: str
    status: Status
    why: str
    identity: str
    tenant_id: str | None = None
    tells: tuple[int, ...] = ()
    settles: tuple[int, ...] = ()
    replaces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Composition:
    """What one run settles: every ripe cause once, by a draft's `settles` or in `silent`.

    `silent` maps a cause to the notice that had told the same before, if any. `emptied` are held notices of which
    nothing is left to tell.
    """

    drafts: tuple[Draft, ...] = ()
    silent: Mapping[int, int | None] = field(default_factory=dict)
    emptied: tuple[int, ...] = ()


def compose(
    causes: Iterable[PendingCause], active_tenants: int, policy: NoticePolicy, now: datetime, background: Background
) -> Composition:
    """`causes` are all unsettled ones and those of held notices, of all tenants: the brake looks at all of them."""
    tenants = _by_tenant(sorted_out(causes, background.partners, policy, now))
    netted = {tenant_id: cancel_out(theirs) for tenant_id, theirs in tenants.items()}
    ripe = [tenant_id for tenant_id, theirs in tenants.items() if _is_ripe(theirs, policy, now)]
    brake = braking.judge((c for n in netted.values() for c in n.standing), active_tenants)
    run = _Run(policy, brake, background)
    for tenant_id in ripe:
        run.settle(tenants[tenant_id], netted[tenant_id])
    return run.finish()


def _by_tenant(causes: Iterable[PendingCause]) -> dict[str, list[PendingCause]]:
    tenants: dict[str, list[PendingCause]] = {}
    for cause in causes:
        tenants.setdefault(cause.tenant_id, []).append(cause)
    return tenants


def _is_ripe(causes: list[PendingCause], policy: NoticePolicy, now: datetime) -> bool:
    """The oldest unsettled cause has waited for the settle time; the tenant's later ones ride along."""
    return any(policy.has_settled(cause.created_at, now) for cause in causes if cause.held_in is None)


class _Run:
    """One composition in the making, tenant by tenant."""

    def __init__(self, policy: NoticePolicy, brake: Brake, background: Background) -> None:
        self.policy = policy
        self.brake = brake
        self.background = background
        self.drafts: list[Draft] = []
        self.silent: dict[int, int | None] = {}
        self.emptied: list[int] = []
        self.for_operator: list[PendingCause] = []
        self.held_now: list[PendingCause] = []

    def settle(self, causes: list[PendingCause], netted: CancelledOut) -> None:
        """Settle all causes of one ripe tenant, and rewrite its held notice where they change it."""
        if self.policy.mode is NoticesMode.OFF or causes[0].removed:
            self._drop_all(causes)
            return
        unsettled = {cause.id for cause in causes if cause.held_in is None}
        self.silent.update((cause, told_by) for cause, told_by in netted.silent.items() if cause in unsettled)
        self.for_operator += [cause for cause in netted.standing if cause.audience is Audience.OPERATOR]
        self._csm(
            [cause for cause in causes if cause.audience is Audience.CSM],
            [cause for cause in netted.standing if cause.audience is Audience.CSM],
        )

    def finish(self) -> Composition:
        if self.for_operator:
            self.drafts.append(self._digest())
        waves = self.brake.waves(self.held_now)
        if waves:
            self.drafts.append(self._brake_notice(waves))
        return Composition(tuple(self.drafts), self.silent, tuple(self.emptied))

    def _drop_all(self, causes: list[PendingCause]) -> None:
        self.silent.update((cause.id, None) for cause in causes if cause.held_in is None)
        self.emptied += _held_notices(causes)

    def _csm(self, causes: list[PendingCause], standing: list[PendingCause]) -> None:
        """One mail for everything that stands; a held one is taken over by it, or falls away with its causes."""
        if {cause.id for cause in standing} == {cause.id for cause in causes if cause.held_in is not None}:
            return
        if standing:
            self.drafts.append(self._to_csm(causes, standing))
        else:
            self.emptied += _held_notices(causes)

    def _to_csm(self, causes: list[PendingCause], standing: list[PendingCause]) -> Draft:
        first = standing[0]
        recipient, redirect = _addressee(first, self.policy)
        holds = self.brake.holds(standing)
        if holds:
            self.held_now += standing
        return Draft(
            letter=CsmMessage(
                tenant=clean(first.tenant_name),
                reader=clean(first.csm_name or ""),
                credentials=credential_news(standing, self.background),
                redirect=redirect,
            ),
            audience=Audience.CSM,
            recipient=recipient,
            status=Status.HELD if holds else Status.PENDING,
            why=_why(standing),
            identity=identity_of(Audience.CSM, causes),
            tenant_id=first.tenant_id,
            tells=tuple(cause.id for cause in standing),
            settles=tuple(cause.id for cause in standing if cause.held_in is None),
            replaces=_held_notices(causes),
        )

    def _digest(self) -> Draft:
        told = self.for_operator
        tenants = {cause.tenant_id for cause in told}
        return Draft(
            letter=digest(told, self.background),
            audience=Audience.OPERATOR,
            recipient=self.policy.operator_mail,
            status=Status.PENDING,
            why=_why(told),
            identity=identity_of(Audience.OPERATOR, told),
            tenant_id=tenants.pop() if len(tenants) == 1 else None,
            tells=tuple(cause.id for cause in told),
            settles=tuple(cause.id for cause in told),
        )

    def _brake_notice(self, waves: tuple[Burst, ...]) -> Draft:
        return Draft(
            letter=BrakeMessage(waves, self.brake.limit, self.brake.active_tenants, duration(self.policy.settle)),
            audience=Audience.OPERATOR,
            recipient=self.policy.operator_mail,
            status=Status.PENDING,
            why="the brake holds mail to CSMs",
            identity=identity_of("brake", self.held_now),
        )


def _held_notices(causes: Iterable[PendingCause]) -> tuple[int, ...]:
    return tuple(sorted({cause.held_in for cause in causes if cause.held_in is not None}))


def identity_of(purpose: str, causes: Iterable[PendingCause]) -> str:
    """32 hex digits that any run makes of the same causes, and no other installation of ours is likely to make.

    The causes are all that were considered, those that cancelled each other too: a notice that comes back to the
    same content after a change is still a new one.
    """
    facts = sorted((c.id, c.tenant_id, c.brake_key, c.created_at.isoformat()) for c in causes)
    return hashlib.sha256(repr((purpose, facts)).encode()).hexdigest()[:32]


def _addressee(cause: PendingCause, policy: NoticePolicy) -> tuple[str, str]:
    """Who gets the mail meant for the tenant's CSM, and why it is not the CSM if it is not."""
    name = clean(cause.tenant_name)
    if not cause.csm_email:
        return policy.operator_mail, f"{name} has no CSM in the tenants file, so this mail came to you."
    if policy.mode is NoticesMode.CSM:
        return cause.csm_email, ""
    whom = clean(f"{cause.csm_name or ''} <{cause.csm_email}>")
    return policy.operator_mail, f"This mail is for {whom}. It came to you because all notices go to the operator."


def _why(causes: Iterable[PendingCause]) -> str:
    """The brake keys it speaks of, the first few of many."""
    keys = list(dict.fromkeys(cause.brake_key for cause in causes))
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
