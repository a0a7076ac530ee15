"""What follows from drift events: the steps of the incident, and who is notified of what."""

import pytest

from checks.credential import CredentialState
from monitor.drift import Event, EventKind
from monitor.incidents.rules import Audience, Step, Trouble, belongs, causes, incident_step

CSM, OPERATOR = Audience.CSM, Audience.OPERATOR
INVALID, UNREACHABLE = CredentialState.INVALID, CredentialState.UNREACHABLE


@pytest.mark.parametrize(
    ("is_open", "trouble", "step"),
    [
        (False, Trouble(), Step.NONE),
        (False, Trouble(missing=1), Step.OPEN),
        (False, Trouble(failing=1), Step.OPEN),
        (False, Trouble(unsettled=3), Step.NONE),  # a suspicion opens nothing
        (True, Trouble(missing=2, failing=1), Step.KEEP),
        (True, Trouble(failing=1), Step.KEEP),
        (True, Trouble(unsettled=1), Step.KEEP),  # missing under the old secret, or suspect: not over yet
        (True, Trouble(), Step.RESOLVE),
    ],
)
def test_an_incident_lives_as_long_as_the_trouble(is_open: bool, trouble: Trouble, step: Step) -> None:
    """It opens on confirmed trouble and is resolved when nothing is left, confirmed or suspected."""
    assert incident_step(is_open, trouble) is step


@pytest.mark.parametrize(
    ("event", "audiences", "brake_key"),
    [
        (Event(EventKind.LOST, "jobs"), {CSM}, "lost:jobs"),
        (Event(EventKind.FOUND, "jobs"), {OPERATOR}, "found:jobs"),
        (Event(EventKind.FOUND, "jobs", notified_as="lost"), set(), None),  # under a new secret: notified already
        (Event(EventKind.NEWLY_REQUIRED, "jobs"), {OPERATOR}, "newly_required:jobs"),
        (Event(EventKind.REGAINED, "jobs", notified_as="lost"), {CSM}, "regained:jobs"),
        (Event(EventKind.REGAINED, "jobs", notified_as="found"), {OPERATOR}, "regained:jobs"),
        (Event(EventKind.REGAINED, "jobs", notified_as="newly_required"), {OPERATOR}, "regained:jobs"),
        (Event(EventKind.EXCESS_FOUND, "GET /v1/x"), {OPERATOR}, "excess_found:GET /v1/x"),
        (Event(EventKind.EXCESS_GONE, "GET /v1/x"), set(), None),
        (Event(EventKind.REPLACED), set(), None),
        (Event(EventKind.CREDENTIAL_FAILED, state=INVALID), {CSM}, "credential_failed:invalid"),
        # a secret that never worked here: nobody at the customer took anything away
        (Event(EventKind.FOUND, state=INVALID), {OPERATOR}, "found:invalid"),
        (Event(EventKind.RECOVERED, state=INVALID, notified_as="found"), {OPERATOR}, "recovered:invalid"),
        (Event(EventKind.CREDENTIAL_FAILED, state=UNREACHABLE), {OPERATOR}, "credential_failed:unreachable"),
        (Event(EventKind.RECOVERED, state=INVALID, notified_as="invalid"), {CSM}, "recovered:invalid"),
        (Event(EventKind.RECOVERED, state=UNREACHABLE, notified_as="unreachable"), {OPERATOR}, "recovered:unreachable"),
        # invalid first, then unreachable: both were notified of a failure, so both are notified of the recovery
        (
            Event(EventKind.RECOVERED, state=UNREACHABLE, notified_as="invalid"),
            {CSM, OPERATOR},
            "recovered:unreachable",
        ),
    ],
)
def test_who_is_notified_of_an_event(event: Event, audiences: set[Audience], brake_key: str | None) -> None:
    """The CSM of what the customer can repair, lost or invalid, and of its end; the operator of the rest."""
    drafts = causes(event)
    assert {draft.audience for draft in drafts} == audiences
    assert len(drafts) == len(audiences)
    assert {draft.brake_key for draft in drafts} == ({brake_key} if brake_key else set())


@pytest.mark.parametrize("state", [state for state in CredentialState if state not in (CredentialState.OK, INVALID)])
@pytest.mark.parametrize("kind", [EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED])
def test_an_outage_never_reaches_a_csm(kind: EventKind, state: CredentialState) -> None:
    """The only state a CSM is notified of is `invalid`: not blocked, retired, unreachable or misconfigured."""
    assert [cause.audience for cause in causes(Event(kind, state=state, notified_as=state))] == [OPERATOR]


@pytest.mark.parametrize("kind", list(EventKind))
def test_excess_is_no_part_of_an_incident(kind: EventKind) -> None:
    """Every other event is part of one."""
    assert belongs(Event(kind)) == (kind not in (EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE))
