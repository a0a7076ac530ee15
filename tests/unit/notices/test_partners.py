"""Who is notified that a partner's client lacks a scope: it depends on who else still has it."""

from dataclasses import replace
from datetime import datetime, timedelta

from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.content.messages import CsmMessage, DigestMessage
from monitor.notices.content.news_from_causes import Background
from monitor.notices.notice import Status
from monitor.notices.partners import PartnerCoverage, partner_permissions
from tests.notices import NOW, a_cause, a_policy, composed

HOUR = timedelta(hours=1)
JOBS = "jobs.list_jobs"


def lost(tenant: str = "acme", grant: str | None = "partner", created_at: datetime | None = None) -> PendingCause:
    facts = {} if created_at is None else {"created_at": created_at}
    return a_cause(
        EventKind.LOST,
        JOBS,
        tenant,
        credential_kind="harvest-oauth",
        credential_grant=grant,
        first_seen=NOW - HOUR,
        **facts,
    )


def notified(cause: PendingCause, credentials: int, last_seen: datetime | None, now: datetime = NOW) -> list[Audience]:
    """Who is notified, with so many judged partner credentials, one of which was last seen to have it then."""
    background = Background(
        partners={JOBS: PartnerCoverage(credentials, granted=last_seen is not None, last_seen=last_seen)}
    )
    return [draft.audience for draft in composed(cause, background=background, now=now).drafts]


def test_what_another_customer_still_has_goes_to_this_customers_csm() -> None:
    """Seen after the loss: the client has it, so reconnecting restores it."""
    assert notified(lost(), 2, NOW - HOUR / 2) == [Audience.CSM]


def test_what_no_customer_has_goes_to_the_operator() -> None:
    """No CSM is notified; the operator reads that it concerns every customer."""
    background = Background(partners={JOBS: PartnerCoverage(3, 0, None)})
    (draft,) = composed(lost("acme"), lost("globex"), background=background).drafts
    assert draft.audience is Audience.OPERATOR
    assert isinstance(draft.message, DigestMessage)
    assert draft.message.lost_to_all == (JOBS,)


def test_it_waits_while_no_other_customer_was_checked_since() -> None:
    """The others may lack it, too: that is known within an interval, and then the wait ends."""
    before = NOW - 2 * HOUR
    assert notified(lost(), 2, before) == []
    late = NOW + a_policy().interval + a_policy().settle
    assert notified(lost(created_at=NOW - timedelta(minutes=20)), 2, before, now=late) == [Audience.CSM]


def test_a_single_partner_credential_goes_to_its_customers_csm() -> None:
    """There is no other customer to compare with."""
    assert notified(lost(), 1, None) == [Audience.CSM]


def test_an_undecided_check_of_another_customer_is_waited_for() -> None:
    """A check that decided nothing does not say who has it."""
    background = Background(partners={JOBS: PartnerCoverage(2, 1, None)})
    assert composed(lost(), background=background).drafts == ()


def test_one_that_no_check_can_tell_about_does_not_hide_what_all_others_lost() -> None:
    """After an interval in which nobody was seen to have it, two that lack it are no two customers' matter."""
    background = Background(partners={JOBS: PartnerCoverage(3, 1, NOW - 2 * HOUR)})
    late = NOW + a_policy().interval + a_policy().settle
    (draft,) = composed(lost("acme"), lost("globex"), background=background, now=late).drafts
    assert draft.audience is Audience.OPERATOR
    assert isinstance(draft.message, DigestMessage)
    assert draft.message.lost_to_all == (JOBS,)


def test_losses_that_wait_for_others_count_for_the_brake() -> None:
    """When the first ceases to wait, the wave is seen whole."""
    background = Background(partners={JOBS: PartnerCoverage(10, 9, NOW - 2 * HOUR)})
    late = NOW + a_policy().interval + a_policy().settle
    waiting = [lost(f"tenant{n}", created_at=late - timedelta(minutes=16 + n)) for n in range(8)]
    first = lost("first", created_at=late - a_policy().interval - a_policy().settle)
    drafts = composed(first, *waiting, background=background, now=late).drafts
    assert [draft.status for draft in drafts if draft.audience is Audience.CSM] == [Status.HELD]


def test_the_role_is_each_customers_own() -> None:
    """Coverage is not asked for, and the customer's CSM is notified, however many others lack it."""
    role = replace(lost(), permission_id=ROLE_ID)
    assert partner_permissions([role, lost("globex")]) == {JOBS}
    background = Background(partners={ROLE_ID: PartnerCoverage(2, 0, None)})
    assert [draft.audience for draft in composed(role, background=background).drafts] == [Audience.CSM]


def test_a_custom_credential_goes_to_its_customers_csm_even_if_others_lack_it() -> None:
    """Each customer ticks their own scopes; the brake is for what many do at once."""
    background = Background(partners={JOBS: PartnerCoverage(5, 0, None)})
    (draft,) = composed(lost(grant="custom"), background=background).drafts
    assert draft.audience is Audience.CSM
    assert isinstance(draft.message, CsmMessage)
