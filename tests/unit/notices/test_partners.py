"""Whose matter it is that a partner's client lacks a scope: told by who else still has it."""

from dataclasses import replace
from datetime import datetime, timedelta

from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.changes import PendingCause
from monitor.notices.content.messages import Background, CsmMessage, DigestMessage
from monitor.notices.partners import Holding, in_question
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


def told(cause: PendingCause, credentials: int, looked_at: datetime | None, now: datetime = NOW) -> list[Audience]:
    """Who is told, where so many partner credentials were judged and the latest that has it was looked at then."""
    background = Background(partners={JOBS: Holding(credentials, holders=looked_at is not None, looked_at=looked_at)})
    return [draft.audience for draft in composed(cause, background=background, now=now).drafts]


def test_what_another_customer_still_has_is_this_customers_matter() -> None:
    """Seen after the loss: the client has it, so connecting anew gives it back."""
    assert told(lost(), 2, NOW - HOUR / 2) == [Audience.CSM]


def test_what_nobody_has_any_more_is_the_vendors_matter() -> None:
    """No CSM is written to; the operator is told that it is every customer."""
    background = Background(partners={JOBS: Holding(3, 0, None)})
    (draft,) = composed(lost("acme"), lost("globex"), background=background).drafts
    assert draft.audience is Audience.OPERATOR
    assert isinstance(draft.letter, DigestMessage)
    assert draft.letter.shared == (JOBS,)


def test_it_waits_while_nobody_else_was_looked_at_since() -> None:
    """The others may lack it, too: that is known within an interval, and then it waits no longer."""
    before = NOW - 2 * HOUR
    assert told(lost(), 2, before) == []
    late = NOW + a_policy().interval + a_policy().settle
    assert told(lost(created_at=NOW - timedelta(minutes=20)), 2, before, now=late) == [Audience.CSM]


def test_a_single_partner_credential_is_its_customers_matter() -> None:
    """There is nobody to compare with."""
    assert told(lost(), 1, None) == [Audience.CSM]


def test_who_was_last_seen_with_it_and_can_not_be_told_now_is_waited_for() -> None:
    """A look that decided nothing says nothing of who has it."""
    background = Background(partners={JOBS: Holding(2, 1, None)})
    assert composed(lost(), background=background).drafts == ()


def test_the_role_is_each_customers_own() -> None:
    """It is not asked about, and stays the customer's matter, whoever else lacks it."""
    role = replace(lost(), permission_id=ROLE_ID)
    assert in_question([role, lost("globex")]) == {JOBS}
    background = Background(partners={ROLE_ID: Holding(2, 0, None)})
    assert [draft.audience for draft in composed(role, background=background).drafts] == [Audience.CSM]


def test_a_custom_credential_is_its_customers_matter_whoever_else_lacks_it() -> None:
    """Each customer ticks the scopes of their own; the brake is for what many do at once."""
    background = Background(partners={JOBS: Holding(5, 0, None)})
    (draft,) = composed(lost(grant="custom"), background=background).drafts
    assert draft.audience is Audience.CSM
    assert isinstance(draft.letter, CsmMessage)
