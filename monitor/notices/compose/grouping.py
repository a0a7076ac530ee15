"""From causes to notices: who is notified of what in which message, and what is settled without one. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.config.settings import NoticesMode
from monitor.incidents.rules import Audience
from monitor.notices.causes import CancelledOut, PendingCause, cancel_out
from monitor.notices.compose.brake import Brake, Recent, Reported, SampleState, judge
from monitor.notices.compose.digest import digest
from monitor.notices.content.messages import BrakeMessage, Burst, CsmMessage
from monitor.notices.content.news_from_causes import Background, credential_news
from monitor.notices.content.notice_draft import NoticeDraft
from monitor.notices.immediate.retired_keys_rules import gathering
from monitor.notices.notice import Status
from monitor.notices.partners import route_partner_losses
from monitor.notices.policy import MAX_CLOCK_SKEW, NoticePolicy
from monitor.notices.wording import clean

RETIRED_KEYS, RETIRED_LOOKING_KEYS = "retired keys", "keys that look retired"
"""Under these the last digests about such keys are remembered, beside the reports of the brake."""

BRAKE_WHY = "the brake holds mail to CSMs"


@dataclass(frozen=True, slots=True)
class Composition:
    """What one run settles: every ripe cause once, either in a draft's `settles` or in `suppressed`.

    `suppressed` maps a cause to the notice that reported the same before, if any. `emptied` are held notices with
    nothing left to report. `reopened` are their causes that wait again, unsettled, because their tenant is paused, or
    was removed and may come back. `reported` is what the operator is notified of about the brake, by key.
    """

    drafts: tuple[NoticeDraft, ...] = ()
    suppressed: Mapping[int, int | None] = field(default_factory=dict)
    emptied: tuple[int, ...] = ()
    reopened: tuple[int, ...] = ()
    reported: Mapping[str, Reported] = field(default_factory=dict)


def compose(
    causes: Iterable[PendingCause], recent: Recent, policy: NoticePolicy, now: datetime, background: Background
) -> Composition:
    """`causes` are all pending ones of all tenants: the brake needs all of them."""
    routing = route_partner_losses(causes, background.partners, policy, now)
    tenants = _by_tenant(routing.routed)
    active = {tenant_id: theirs for tenant_id, theirs in tenants.items() if not theirs[0].is_away}
    cancelled = {tenant_id: cancel_out(theirs) for tenant_id, theirs in active.items()}
    # Those that still wait for their audience count as well: a wave must not pass one by one as they cease to wait.
    pending = [cause for cause in (*routing.routed, *routing.waiting) if not cause.is_away]
    run = _Run(policy, judge(pending, recent, policy, now), background)
    for tenant_id, theirs in tenants.items():
        if tenant_id not in active:
            run.wait_for_return(theirs)
        elif _waits_for_other_retirements(theirs, recent, policy, now):
            continue
        elif _is_ripe(theirs, recent.samples, policy, now):
            run.settle(theirs, cancelled[tenant_id])
    return run.finish()


def _by_tenant(causes: Iterable[PendingCause]) -> dict[str, list[PendingCause]]:
    tenants: dict[str, list[PendingCause]] = {}
    for cause in causes:
        tenants.setdefault(cause.tenant_id, []).append(cause)
    return tenants


def _is_ripe(causes: list[PendingCause], samples: Iterable[SampleState], policy: NoticePolicy, now: datetime) -> bool:
    """The tenant's oldest unsettled cause has waited for the settle time, and for the sample that it caused.

    Its later ones join the same email. A held email that says what is so no longer, or to whom it no longer concerns,
    does not wait.
    """
    if any(cause.held_in is not None and (cause.is_outdated or _moved_on(cause, policy)) for cause in causes):
        return True
    unsettled = [cause for cause in causes if cause.held_in is None]
    if not any(policy.has_settled(cause.created_at, now) for cause in unsettled):
        return False
    if not all(policy.knows_the_present(cause.last_checked_at, now) for cause in unsettled):
        return False
    asking = [cause for cause in unsettled if cause.audience is Audience.CSM and not cause.is_end]
    if any(policy.waits_for_another_look(cause.created_at, cause.last_checked_at, now) for cause in asking):
        return False
    sampled = frozenset[str]().union(*(sample.brake_keys for sample in samples if sample.is_outstanding))
    return not any(c.brake_key in sampled and policy.waits_for_sample(c.created_at, now) for c in unsettled)


def _waits_for_other_retirements(
    causes: list[PendingCause], recent: Recent, policy: NoticePolicy, now: datetime
) -> bool:
    """The operator knows that keys are being retired: those of the same sweep are one more email, not one a minute."""
    waves = {_wave(cause) if cause.audience is Audience.OPERATOR else None for cause in causes}
    return all(wave is not None and _was_reported(recent.reported.get(wave), policy, now) for wave in waves)


def _was_reported(last: Reported | None, policy: NoticePolicy, now: datetime) -> bool:
    return last is not None and -MAX_CLOCK_SKEW <= now - last.at < gathering(policy)


def _wave(cause: PendingCause) -> str | None:
    """What many keys go through within one sweep, if Greenhouse switches off the API."""
    if cause.is_retirement:
        return RETIRED_KEYS
    return RETIRED_LOOKING_KEYS if cause.looks_retired else None


class _Run:
    """Builds one composition, tenant by tenant."""

    def __init__(self, policy: NoticePolicy, brake: Brake, background: Background) -> None:
        self.policy = policy
        self.brake = brake
        self.background = background
        self.drafts: list[NoticeDraft] = []
        self.suppressed: dict[int, int | None] = {}
        self.emptied: list[int] = []
        self.reopened: list[int] = []
        self.for_operator: list[PendingCause] = []
        self.held_now: list[PendingCause] = []

    def settle(self, causes: list[PendingCause], cancelled: CancelledOut) -> None:
        """Settle all causes of one ripe tenant, and replace its held notice if they change it."""
        if self.policy.mode is NoticesMode.OFF:
            self._suppress_all(causes)
            return
        # Held causes are settled already: settling one again would look as if another composer had been quicker.
        unsettled = {cause.id for cause in causes if cause.held_in is None}
        self.suppressed.update((cause, by) for cause, by in cancelled.suppressed.items() if cause in unsettled)
        self.for_operator += [cause for cause in cancelled.remaining if cause.audience is Audience.OPERATOR]
        self._settle_for_csm(
            [cause for cause in causes if cause.audience is Audience.CSM],
            [cause for cause in cancelled.remaining if cause.audience is Audience.CSM],
        )

    def finish(self) -> Composition:
        if self.for_operator:
            self.drafts.append(self._digest())
        bursts = self.brake.new_bursts(self.held_now) if self.policy.mode is not NoticesMode.OFF else {}
        if bursts:
            self.drafts.append(self._brake_notice(tuple(bursts.values())))
        reported = {key: Reported(self.brake.now, burst.tenants) for key, burst in bursts.items()}
        for wave in (RETIRED_KEYS, RETIRED_LOOKING_KEYS):
            if tenants := {cause.tenant_id for cause in self.for_operator if _wave(cause) == wave}:
                reported[wave] = Reported(self.brake.now, len(tenants))
        return Composition(tuple(self.drafts), self.suppressed, tuple(self.emptied), tuple(self.reopened), reported)

    def wait_for_return(self, causes: list[PendingCause]) -> None:
        """Of a removed or paused tenant: nothing is sent. What was removed long ago is forgotten."""
        removed_at = causes[0].removed_at
        long_ago = removed_at is not None and removed_at <= self.brake.now - self.policy.keep_removed
        if long_ago or self.policy.mode is NoticesMode.OFF:
            self._suppress_all(causes)
            return
        self.emptied += _held_notices(causes)
        self.reopened += [cause.id for cause in causes if cause.held_in is not None]

    def _suppress_all(self, causes: list[PendingCause]) -> None:
        self.suppressed.update((cause.id, None) for cause in causes if cause.held_in is None)
        self.emptied += _held_notices(causes)

    def _settle_for_csm(self, causes: list[PendingCause], remaining: list[PendingCause]) -> None:
        """One notice for everything that remains; it replaces a held one, which is dropped if nothing remains."""
        # What came and went meanwhile leaves a held notice, and its number, as it is.
        held = [cause for cause in causes if cause.held_in is not None]
        same_reader = not any(_moved_on(cause, self.policy) for cause in held)
        if same_reader and {cause.id for cause in remaining} == {cause.id for cause in held}:
            return
        if remaining:
            self.drafts.append(self._csm_notice(causes, remaining))
        else:
            self.emptied += _held_notices(causes)

    def _csm_notice(self, causes: list[PendingCause], remaining: list[PendingCause]) -> NoticeDraft:
        first = remaining[0]
        recipient, redirect = _recipient(first, self.policy)
        held = self.brake.holds(remaining)
        if held:
            self.held_now += remaining
        return NoticeDraft(
            message=CsmMessage(
                tenant=clean(first.tenant_name),
                tenant_id=clean(first.tenant_id),
                reader=clean(first.csm_name or ""),
                credentials=credential_news(remaining, self.background, recipient),
                redirect=redirect,
                has_other_access=first.tenant_id in self.background.with_access,
            ),
            audience=Audience.CSM,
            recipient=recipient,
            status=Status.HELD if held else Status.PENDING,
            why=_why(remaining),
            # The same causes make another email where one of them is over, or the reader is another.
            identity=identity_of(f"{Audience.CSM} {_held_notices(causes)}", causes),
            tenant_id=first.tenant_id,
            reports=tuple(cause.id for cause in remaining),
            settles=tuple(cause.id for cause in remaining if cause.held_in is None),
            replaces=_held_notices(causes),
        )

    def _digest(self) -> NoticeDraft:
        causes = self.for_operator
        tenants = {cause.tenant_id for cause in causes}
        # What came to the operator in a CSM's place was told already.
        told = [draft.message for draft in self.drafts if draft.status is Status.PENDING]
        to_csms = [message for message in told if isinstance(message, CsmMessage) and not message.redirect]
        return NoticeDraft(
            message=digest(causes, self.background, self.policy.operator_mail, to_csms),
            audience=Audience.OPERATOR,
            recipient=self.policy.operator_mail,
            status=Status.PENDING,
            why=_why(causes),
            identity=identity_of(Audience.OPERATOR, causes),
            tenant_id=tenants.pop() if len(tenants) == 1 else None,
            reports=tuple(cause.id for cause in causes),
            settles=tuple(cause.id for cause in causes),
        )

    def _brake_notice(self, bursts: tuple[Burst, ...]) -> NoticeDraft:
        return NoticeDraft(
            message=BrakeMessage(bursts),
            audience=Audience.OPERATOR,
            recipient=self.policy.operator_mail,
            status=Status.PENDING,
            why=BRAKE_WHY,
            identity=identity_of(f"brake {self.brake.now.isoformat()}", self.brake.causes),
        )


def _held_notices(causes: Iterable[PendingCause]) -> tuple[int, ...]:
    return tuple(sorted({cause.held_in for cause in causes if cause.held_in is not None}))


def identity_of(purpose: str, causes: Iterable[PendingCause]) -> str:
    """32 hex digits that every run makes of the same causes, and that no other installation is likely to make.

    The causes include those that cancelled each other out: a notice whose content changes and then changes back is
    still a new one.
    """
    facts = sorted((c.id, c.tenant_id, c.brake_key, c.created_at.isoformat()) for c in causes)
    return hashlib.sha256(repr((purpose, facts)).encode()).hexdigest()[:32]


def _moved_on(held: PendingCause, policy: NoticePolicy) -> bool:
    """The tenants file names another CSM than the one that the held email is addressed to."""
    return held.audience is Audience.CSM and held.held_for not in (None, _recipient(held, policy)[0])


def _recipient(cause: PendingCause, policy: NoticePolicy) -> tuple[str, str]:
    """Who gets the email meant for the tenant's CSM; and if that is not the CSM, why."""
    name = clean(cause.tenant_name)
    if not cause.csm_email:
        return policy.operator_mail, f"{name} has no CSM in the tenants file, so this email came to you."
    if policy.mode is NoticesMode.CSM:
        return cause.csm_email, ""
    whom = clean(f"{cause.csm_name or ''} <{cause.csm_email}>")
    return policy.operator_mail, f"This email is for {whom}. It came to you because all notices go to the operator."


def _why(causes: Iterable[PendingCause]) -> str:
    """The brake keys it reports, the first few of many."""
    keys = list(dict.fromkeys(cause.brake_key for cause in causes))
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
