"""Who is notified of what in which edraft."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import ENDS, PendingCause
from monitor.notices.compose.brake import ANY_LOST, Recent, Reported
from monitor.notices.compose.digest import BY_NAME, IN_FULL
from monitor.notices.compose.grouping import RETIRED_KEYS, RETIRED_LOOKING_KEYS
from monitor.notices.content.messages import BrakeMessage, CsmMessage, DigestMessage
from monitor.notices.content.render import Renderer
from monitor.notices.notice import Status
from tests.notices import NOW, OPERATOR, SETTLE, a_cause, composed, for_operator

LOST, REGAINED, FOUND = EventKind.LOST, EventKind.REGAINED, EventKind.FOUND
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
RENDERER = Renderer()


def _burst(tenants: int, permission: str = "GET: List offers", **facts: object) -> list[PendingCause]:
    return [a_cause(LOST, permission, f"tenant{number:03}", credential_id=number, **facts) for number in range(tenants)]


def _held(tenants: int) -> list[PendingCause]:
    return [replace(cause, held_in=number + 1) for number, cause in enumerate(_burst(tenants))]


def _reported(tenants: int, ago: timedelta = SETTLE) -> Recent:
    """The operator was notified of so many who lost "GET: List offers"."""
    report = Reported(NOW - ago, tenants)
    return Recent(last_checked=[NOW] * 100, reported={"lost:GET: List offers": report, ANY_LOST: report})


def test_causes_wait_for_each_other() -> None:
    """Nothing is reported before a tenant's oldest cause has waited for the settle time; later ones join it."""
    young = a_cause(LOST, "GET: List jobs", created_at=NOW - timedelta(seconds=1))
    almost = a_cause(LOST, "GET: List offers", created_at=NOW - SETTLE + timedelta(seconds=1))
    assert composed(young, almost).drafts == ()
    ripe = replace(almost, created_at=NOW - SETTLE)
    assert [draft.reports for draft in composed(young, ripe).drafts] == [(young.id, ripe.id)]


def test_another_tenant_does_not_ripen_mine() -> None:
    """Each tenant settles separately."""
    young = a_cause(LOST, "GET: List jobs", "globex", created_at=NOW)
    composition = composed(young, a_cause(LOST, "GET: List jobs"))
    assert [draft.tenant_id for draft in composition.drafts] == ["acme"]
    assert young.id not in composition.suppressed


def test_everything_about_a_tenant_is_in_one_email() -> None:
    """Losses, failures and recoveries of several credentials go to the CSM together."""
    causes = [
        a_cause(LOST, "GET: List offers"),
        a_cause(LOST, "GET: List jobs"),
        a_cause(FAILED, credential_id=2, credential_label="Second key"),
        a_cause(RECOVERED, credential_id=3, credential_label="Third key", notified_in=1),
    ]
    (draft,) = composed(*causes).drafts
    assert draft.recipient == "dana@vendor.example"
    assert draft.reports == tuple(cause.id for cause in causes)
    assert isinstance(draft.message, CsmMessage)
    assert [credential.label for credential in draft.message.credentials] == [
        "Gem Harvest API Key",
        "Second key",
        "Third key",
    ]


def test_what_cancelled_out_is_settled_without_an_email() -> None:
    """Lost and back within the settle time: settled, and nobody gets an edraft."""
    lost, regained = a_cause(LOST, "GET: List offers"), a_cause(REGAINED, "GET: List offers")
    composition = composed(lost, regained)
    assert composition.drafts == ()
    assert composition.suppressed == {lost.id: None, regained.id: None}


def test_mode_off_settles_without_an_email() -> None:
    """With notices off, causes do not pile up, and what was held is dropped."""
    causes = [a_cause(LOST, "GET: List offers"), for_operator(FOUND, "GET: List jobs"), a_cause(LOST, "x", held_in=5)]
    composition = composed(*causes, mode=NoticesMode.OFF)
    assert composition.drafts == ()
    assert composition.suppressed == {causes[0].id: None, causes[1].id: None}
    assert composition.emptied == (5,)


def test_mode_operator_sends_the_csms_email_to_the_operator() -> None:
    """The operator gets the CSM's email, with a line on whom it is for; the part for the customer is the same."""
    cause = a_cause(LOST, "GET: List offers")
    (theirs,), (ours,) = composed(cause).drafts, composed(cause, mode=NoticesMode.OPERATOR).drafts
    assert (theirs.recipient, ours.recipient) == ("dana@vendor.example", OPERATOR)
    texts = [RENDERER.render(draft.message).text for draft in (theirs, ours)]
    assert "Dana Reyes <dana@vendor.example>" not in texts[0]
    assert "This email is for Dana Reyes <dana@vendor.example>." in texts[1]
    ruler = "-" * 60
    assert texts[0].split(ruler)[1] == texts[1].split(ruler)[1]


def test_a_tenant_without_a_csm_is_the_operators() -> None:
    """Without a CSM the email goes to the operator and says so."""
    (draft,) = composed(a_cause(LOST, "GET: List offers", csm_name=None, csm_email=None)).drafts
    assert draft.recipient == OPERATOR
    assert "Acme has no CSM in the tenants file" in RENDERER.render(draft.message).text


def test_a_removed_tenant_waits_for_its_return() -> None:
    """A row that drops out of the tenants file loses no notice: nothing is sent, and nothing settled for good."""
    waiting, held = a_cause(LOST, "GET: List offers", removed_at=NOW), a_cause(LOST, "x", removed_at=NOW, held_in=5)
    composition = composed(waiting, held)
    assert (composition.drafts, composition.suppressed) == ((), {})
    assert (composition.emptied, composition.reopened) == ((5,), (held.id,))


def test_a_former_customer_is_settled_without_an_email() -> None:
    """Who has been away for as long as checks are kept does not come back."""
    cause = a_cause(LOST, "GET: List offers", removed_at=NOW - timedelta(days=30))
    composition = composed(cause)
    assert (composition.drafts, composition.suppressed) == ((), {cause.id: None})


def test_the_operator_gets_one_digest_a_run() -> None:
    """Everything for the operator is one email, in the order of the tenants' names."""
    causes = [
        for_operator(FOUND, "GET: List jobs", "globex", credential_id=2),
        for_operator(FAILED, state="blocked"),
        for_operator(EventKind.NEWLY_REQUIRED, "GET: List jobs", "initech", credential_id=3),
    ]
    (draft,) = composed(*causes).drafts
    assert isinstance(draft.message, DigestMessage)
    assert [(tenant.name, tenant.summary) for tenant in draft.message.tenants] == [
        ("Acme", "credential blocked"),
        ("Globex", "1 permission missing since the first check"),
        ("Initech", "1 permission newly required and not granted"),
    ]
    assert (draft.recipient, draft.tenant_id) == (OPERATOR, None)
    assert sorted(draft.reports) == sorted(cause.id for cause in causes)


def test_a_first_sweep_of_thousands_is_a_readable_email() -> None:
    """A digest has some tenants in full, more by name, and the rest as a number, and settles them all."""
    causes = [for_operator(FOUND, "GET: List jobs", f"t{n:05}", credential_id=n) for n in range(3000)]
    (draft,) = composed(*causes, checked=3000).drafts
    assert isinstance(draft.message, DigestMessage)
    assert (len(draft.message.tenants), len(draft.message.brief), draft.message.unnamed) == (
        IN_FULL,
        BY_NAME,
        3000 - IN_FULL - BY_NAME,
    )
    assert len(draft.reports) == 3000
    words = RENDERER.render(draft.message)
    assert words.text.startswith("3,000 tenants need you.")
    assert len(words.html) < 200_000


@pytest.mark.parametrize(
    ("tenants", "checked", "held"),
    [
        (2, 3, False),  # two always pass
        (3, 3, True),
        (3, 100, True),
        (4, 500, False),
        (5, 500, True),
        (15, 10_000, False),
        (16, 10_000, True),
    ],
)
def test_the_brake_holds_what_chance_does_not_explain(tenants: int, checked: int, held: bool) -> None:
    """Emails are held if more of those checked change alike than by chance; the operator is notified once."""
    drafts = composed(*_burst(tenants), checked=checked).drafts
    statuses = Counter(draft.status for draft in drafts if draft.audience is Audience.CSM)
    assert statuses == {Status.HELD if held else Status.PENDING: tenants}
    assert [draft.audience for draft in drafts].count(Audience.OPERATOR) == held


def test_the_brake_counts_those_who_are_not_ripe_yet() -> None:
    """The first of a burst is held because the others are known already."""
    young = _burst(6, created_at=NOW)
    first = a_cause(LOST, "GET: List offers", credential_id=99)
    drafts = composed(first, *young).drafts
    assert [(draft.audience, draft.status) for draft in drafts] == [
        (Audience.CSM, Status.HELD),
        (Audience.OPERATOR, Status.PENDING),
    ]
    assert isinstance(drafts[1].message, BrakeMessage)
    assert drafts[1].message.bursts[0].tenants == 7


def test_the_brake_counts_what_came_back() -> None:
    """Five that were back at once make the sixth more doubtful, not less."""
    burst = _burst(6)
    back = [
        replace(cause, id=cause.id + 10_000, event_id=cause.event_id + 10_000, kind=REGAINED) for cause in burst[1:]
    ]
    drafts = composed(*burst, *back).drafts
    assert next((draft.tenant_id, draft.status) for draft in drafts) == ("tenant000", Status.HELD)


def test_the_brake_ignores_changes_of_another_kind() -> None:
    """While losses are held, a refused credential is reported; with a part in the burst its email is held."""
    alone = a_cause(FAILED, None, "alone", credential_id=500)
    both = a_cause(FAILED, None, "tenant000", credential_id=0)
    statuses = {draft.tenant_id: draft.status for draft in composed(*_burst(6), alone, both).drafts if draft.tenant_id}
    assert statuses.pop("alone") is Status.PENDING
    assert set(statuses.values()) == {Status.HELD}


def test_the_brake_holds_in_operator_mode_too() -> None:
    """Even if only the operator gets emails, so that the brake is known before CSMs get any."""
    drafts = composed(*_burst(6), mode=NoticesMode.OPERATOR).drafts
    assert Counter(draft.status for draft in drafts) == {Status.HELD: 6, Status.PENDING: 1}


def test_the_operators_own_notices_are_never_held() -> None:
    """The brake is for CSMs; an outage of everything is one digest to the operator."""
    causes = [for_operator(FAILED, None, f"t{n}", credential_id=n, state="unreachable") for n in range(50)]
    assert [draft.status for draft in composed(*causes).drafts] == [Status.PENDING]


def test_later_notices_are_held_without_another_email_to_the_operator() -> None:
    """While a burst is held, more of the same kind is held too, and the operator is not notified again."""
    late = a_cause(LOST, "GET: List offers", "late", credential_id=500)
    (draft,) = composed(*_held(6), late, recent=_reported(6)).drafts
    assert (draft.tenant_id, draft.status, draft.replaces) == ("late", Status.HELD, ())


def test_a_second_burst_of_another_kind_is_reported() -> None:
    """The operator is notified once of each kind of burst."""
    drafts = composed(*_held(6), *_burst(7, "GET: List jobs"), recent=_reported(6)).drafts
    messages = [draft.message for draft in drafts if isinstance(draft.message, BrakeMessage)]
    assert [[burst.what for burst in message.bursts] for message in messages] == [
        ["lost the permission “GET: List jobs” (Offers)"]
    ]


def test_retired_keys_of_one_sweep_are_two_emails() -> None:
    """After the first email the others are gathered, for as long as the CSMs' emails wait; other news does not wait."""
    retired = [for_operator(FAILED, None, f"t{n}", state="retired", credential_id=n) for n in range(3)]
    first = composed(*retired)
    assert len(first.drafts) == 1
    assert first.reported[RETIRED_KEYS] == Reported(NOW, 3)
    blocked = for_operator(FAILED, None, "other", state="blocked", credential_id=9)
    seen = Recent(reported={RETIRED_KEYS: Reported(NOW - timedelta(hours=1), 3)})
    (draft,) = composed(*retired, blocked, recent=seen).drafts
    assert draft.reports == (blocked.id,)
    seen = Recent(reported={RETIRED_KEYS: Reported(NOW - timedelta(hours=6, minutes=15), 3)})
    assert len(composed(*retired, recent=seen).drafts[0].reports) == 3


def test_keys_that_look_retired_in_one_sweep_are_two_emails_of_their_own() -> None:
    """As the retired ones later, which do not wait for these: what was a guess is then known."""
    looks = {"state": "unreachable", "detail": "looks_retired"}
    looking = [for_operator(FAILED, None, f"t{n}", credential_id=n, **looks) for n in range(3)]
    first = composed(*looking)
    assert first.reported[RETIRED_LOOKING_KEYS] == Reported(NOW, 3)
    seen = Recent(reported={RETIRED_LOOKING_KEYS: Reported(NOW - timedelta(hours=1), 3)})
    retired = for_operator(FAILED, None, "t9", state="retired", credential_id=9)
    down = for_operator(FAILED, None, "other", state="unreachable", detail="timeout", credential_id=8)
    (draft,) = composed(*looking, retired, down, recent=seen).drafts
    assert draft.reports == (retired.id, down.id)


def test_news_of_a_held_tenant_replaces_its_held_notice() -> None:
    """A tenant has one held notice: a new cause makes a new one with everything that remains."""
    held = a_cause(LOST, "GET: List offers", held_in=5)
    new = a_cause(LOST, "GET: List jobs")
    (draft,) = composed(held, new).drafts
    assert (draft.status, draft.reports, draft.replaces) == (Status.HELD, (held.id, new.id), (5,))


def test_what_recovers_is_no_longer_held() -> None:
    """Of a held loss that is regained neither beginning nor end is sent; the rest of the notice stays."""
    held = [a_cause(LOST, "GET: List offers", held_in=5), a_cause(LOST, "GET: List jobs", held_in=5)]
    back = a_cause(REGAINED, "GET: List offers")
    composition = composed(*held, back)
    (draft,) = composition.drafts
    assert (draft.reports, draft.replaces, composition.suppressed) == ((held[1].id,), (5,), {back.id: None})


def test_a_held_notice_is_dropped_if_everything_recovers() -> None:
    """Nothing is left to report."""
    held, back = a_cause(LOST, "GET: List offers", held_in=5), a_cause(REGAINED, "GET: List offers")
    composition = composed(held, back)
    assert (composition.drafts, composition.emptied, composition.suppressed) == ((), (5,), {back.id: None})


def test_a_held_notice_that_nothing_changes_is_left_alone() -> None:
    """What came and went meanwhile does not replace a held notice."""
    held = a_cause(LOST, "GET: List offers", held_in=5)
    lost, back = a_cause(LOST, "GET: List jobs"), a_cause(REGAINED, "GET: List jobs")
    composition = composed(held, lost, back)
    assert (composition.drafts, composition.emptied) == ((), ())
    assert composition.suppressed == {lost.id: None, back.id: None}


def test_an_identity_depends_on_the_causes_only() -> None:
    """The same causes give the same Message-ID, whatever the order, time or mode; other causes give another."""
    causes = [a_cause(LOST, "GET: List offers"), a_cause(LOST, "GET: List jobs")]
    identity = composed(*causes).drafts[0].identity
    later = composed(*reversed(causes), now=NOW + timedelta(hours=1), mode=NoticesMode.OPERATOR)
    assert later.drafts[0].identity == identity
    assert re.fullmatch(r"[0-9a-f]{32}", identity)
    assert composed(causes[0]).drafts[0].identity != identity


def test_content_that_comes_back_is_a_new_notice() -> None:
    """A held notice that changes and changes back has another Message-ID each time."""
    held = a_cause(LOST, "GET: List offers", held_in=5)
    lost = a_cause(LOST, "GET: List jobs")
    back = a_cause(REGAINED, "GET: List jobs")
    grown = composed(held, lost).drafts[0]
    shrunk = composed(replace(held, held_in=6), replace(lost, held_in=6), back).drafts[0]
    first = composed(replace(held, held_in=None)).drafts[0]
    assert shrunk.reports == first.reports
    assert len({first.identity, grown.identity, shrunk.identity}) == 3


TENANTS = [f"tenant{letter}" for letter in "abcdef"]


@st.composite
def _any_causes(draw: st.DrawFn) -> list[PendingCause]:
    kinds = st.sampled_from([kind for kind in EventKind if kind is not EventKind.REPLACED])
    causes = []
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(kinds)
        tenant = draw(st.sampled_from(TENANTS))
        of_credential = kind in (FAILED, RECOVERED)
        audience = draw(st.sampled_from([Audience.CSM, Audience.OPERATOR]))
        only_operator = kind not in (LOST, REGAINED, FAILED, RECOVERED)
        causes.append(
            a_cause(
                kind,
                None if of_credential else draw(st.sampled_from(["GET: One", "GET: Two"])),
                tenant,
                audience=Audience.OPERATOR if only_operator else audience,
                state="invalid" if of_credential else None,
                credential_id=TENANTS.index(tenant),
                created_at=NOW - timedelta(minutes=draw(st.sampled_from([1, 14, 15, 20, 500]))),
                notified_in=draw(st.sampled_from([None, 70])) if kind in ENDS else None,
            )
        )
    return causes


def _some_held(causes: list[PendingCause], held: set[str]) -> list[PendingCause]:
    """The first CSM cause of some tenants as if its notice were held."""
    seen: set[str] = set()
    result = []
    for cause in causes:
        if cause.tenant_id in held - seen and cause.audience is Audience.CSM and cause.kind not in ENDS:
            seen.add(cause.tenant_id)
            cause = replace(cause, held_in=1000 + TENANTS.index(cause.tenant_id))
        result.append(cause)
    return result


@given(_any_causes(), st.sets(st.sampled_from(TENANTS)), st.sampled_from(NoticesMode), st.integers(1, 300))
def test_every_ripe_cause_is_settled_exactly_once(
    causes: list[PendingCause], held: set[str], mode: NoticesMode, active: int
) -> None:
    """Each unsettled cause of a ripe tenant is reported once or suppressed; no other is; held ones never vanish."""
    causes = _some_held(causes, held)
    composition = composed(*causes, mode=mode, checked=active)
    unsettled = [cause for cause in causes if cause.held_in is None]
    ripe = {cause.tenant_id for cause in unsettled if cause.created_at <= NOW - SETTLE}
    expected = Counter(cause.id for cause in unsettled if cause.tenant_id in ripe)
    settled = [id_ for draft in composition.drafts for id_ in draft.settles]
    assert Counter([*settled, *composition.suppressed]) == expected
    reported = [id_ for draft in composition.drafts for id_ in draft.reports]
    assert len(reported) == len(set(reported))
    assert {id_ for id_ in reported if id_ not in settled} <= {
        cause.id for cause in causes if cause.held_in is not None
    }
    superseded = [*composition.emptied, *(notice for draft in composition.drafts for notice in draft.replaces)]
    assert len(superseded) == len(set(superseded))
    from_held = {cause.id: cause.held_in for cause in causes if cause.held_in is not None}
    assert all(from_held[id_] in superseded for id_ in reported if id_ in from_held)


@given(_any_causes(), st.integers(1, 300))
def test_a_csm_gets_one_email_about_one_tenant(causes: list[PendingCause], active: int) -> None:
    """No run writes two emails to a CSM about one tenant, and none names another tenant, by name or by id."""
    drafts = [draft for draft in composed(*causes, checked=active).drafts if draft.audience is Audience.CSM]
    assert all(count == 1 for count in Counter(draft.tenant_id for draft in drafts).values())
    for draft in drafts:
        words = RENDERER.render(draft.message)
        everything = f"{words.subject} {words.text} {words.html}".casefold()
        assert all((tenant in everything) == (tenant == draft.tenant_id) for tenant in TENANTS)
