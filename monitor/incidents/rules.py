"""What drift events mean for the tenant's incident, and for the people who are notified: pure."""

from dataclasses import dataclass
from enum import StrEnum

from checks.credential import CredentialState
from monitor.drift import Event, EventKind


class Audience(StrEnum):
    CSM = "csm"
    OPERATOR = "operator"


class Step(StrEnum):
    """What becomes of a tenant's incident."""

    NONE = "none"
    OPEN = "open"
    KEEP = "keep"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A tenant's trouble over all its credentials, in confirmed terms.

    `missing` counts required permissions, `failing` credentials. `unsettled` counts suspicions and what was missing
    under a replaced secret: it neither opens an incident nor lets one end.
    """

    missing: int = 0
    failing: int = 0
    unsettled: int = 0


@dataclass(frozen=True, slots=True)
class CauseDraft:
    audience: Audience
    brake_key: str


_BESIDE_INCIDENTS = (EventKind.EXCESS_FOUND, EventKind.EXCESS_GONE)
_NOT_NOTIFIED = (EventKind.REPLACED, EventKind.EXCESS_GONE)


def incident_step(is_open: bool, trouble: Trouble) -> Step:
    if trouble.missing or trouble.failing:
        return Step.KEEP if is_open else Step.OPEN
    if not is_open:
        return Step.NONE
    return Step.KEEP if trouble.unsettled else Step.RESOLVE


def belongs(event: Event) -> bool:
    """The event is part of the incident that is open, or that it opens or ends."""
    return event.kind not in _BESIDE_INCIDENTS


@dataclass(frozen=True, slots=True)
class Readers:
    """Who is notified in place of the CSM: about permissions, and about the credential as a whole."""

    permissions: Audience = Audience.CSM
    credential: Audience = Audience.CSM

    def of(self, event: Event) -> Audience:
        return self.permissions if event.permission_id else self.credential


def causes(event: Event, readers: Readers | None = None) -> tuple[CauseDraft, ...]:
    """Who is to be notified. The end of a trouble goes to those who were notified of its beginning."""
    reader = (readers or Readers()).of(event)
    notified = (reader if audience is Audience.CSM else audience for audience in _audiences(event))
    return tuple(CauseDraft(audience, _brake_key(event)) for audience in dict.fromkeys(notified))


def _audiences(event: Event) -> tuple[Audience, ...]:
    match event.kind:
        case kind if kind in _NOT_NOTIFIED:
            return ()
        case EventKind.FOUND if event.notified_as is not None:
            return ()  # missing under the previous secret: notified already, and not ended since
        case EventKind.LOST:
            return (Audience.CSM,)
        case EventKind.REGAINED if event.notified_as == EventKind.LOST:
            return (Audience.CSM,)
        # The one failing state that the customer can end.
        case EventKind.CREDENTIAL_FAILED if event.state is CredentialState.INVALID:
            return (Audience.CSM,)
        case EventKind.RECOVERED if event.notified_as == CredentialState.INVALID:
            # If it failed in another way after `invalid`, the operator was notified of that.
            only_invalid = event.state is CredentialState.INVALID
            return (Audience.CSM,) if only_invalid else (Audience.CSM, Audience.OPERATOR)
    return (Audience.OPERATOR,)


def _brake_key(event: Event) -> str:
    """What many tenants may have in common, such as `lost:offers.list_offers` or `credential_failed:invalid`."""
    return f"{event.kind}:{event.permission_id or event.state}"
