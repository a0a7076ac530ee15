"""What to ask a customer for now: the part of an email that a CSM forwards, from what is missing at present."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from checks.credential import CredentialState
from checks.v3.verdicts import ROLE_ID
from monitor.drift import EventKind
from monitor.notices.content.credential_news import CredentialNews, Group, Listing, PermissionLine, StateChange
from monitor.notices.content.messages import CsmMessage
from monitor.notices.wording import clean


@dataclass(frozen=True, slots=True)
class MissingPermission:
    id: str
    group: str
    label: str
    likely: bool = False
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PresentTrouble:
    """One credential with what a customer can mend about it. `grant` is None for a key of Harvest v1."""

    label: str
    kind: str
    grant: str | None
    state: CredentialState
    detail: str
    missing: Sequence[MissingPermission] = ()

    @property
    def can_be_asked(self) -> bool:
        """The customer can end it: nobody else's doing, and not our own."""
        return self.state is CredentialState.INVALID or (self.state is CredentialState.OK and bool(self.missing))


def customer_request(tenant: str, troubles: Sequence[PresentTrouble]) -> CsmMessage | None:
    """None where there is nothing to ask for."""
    asked = tuple(_news(trouble) for trouble in troubles if trouble.can_be_asked)
    return CsmMessage(clean(tenant), "", "", asked, "") if asked else None


def _news(trouble: PresentTrouble) -> CredentialNews:
    if trouble.state is CredentialState.INVALID:
        change = StateChange(EventKind.CREDENTIAL_FAILED, trouble.state, trouble.detail, ())
        return CredentialNews(clean(trouble.label), trouble.kind, trouble.grant, (change,), {})
    groups = groupby(trouble.missing, key=attrgetter("group"))
    listing = Listing(tuple(Group(clean(name), tuple(map(_line, members))) for name, members in groups), ())
    return CredentialNews(clean(trouble.label), trouble.kind, trouble.grant, (), {EventKind.LOST: listing})


def _line(permission: MissingPermission) -> PermissionLine:
    return PermissionLine(
        clean(permission.label), permission.likely, (), "", permission.scopes, permission.id == ROLE_ID
    )
