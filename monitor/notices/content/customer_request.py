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
from monitor.notices.content.retired_message import Boxes
from monitor.notices.wording import clean


@dataclass(frozen=True, slots=True)
class MissingPermission:
    id: str
    group: str
    label: str
    likely: bool = False
    scopes: tuple[str, ...] = ()
    effect: str = ""


@dataclass(frozen=True, slots=True)
class PresentTrouble:
    """One credential with what a customer can mend about it. `grant` is None for a key of Harvest v1.

    `successor` are the boxes to tick on one that takes its place. `may_forward` is false where its scopes are derived,
    and not accepted by the operator.
    """

    label: str
    kind: str
    grant: str | None
    state: CredentialState
    detail: str
    missing: Sequence[MissingPermission] = ()
    successor: Boxes | None = None
    may_forward: bool = True

    @property
    def can_be_asked(self) -> bool:
        """The customer can end it: nobody else's doing, and not our own."""
        if self.state is CredentialState.INVALID:
            return True
        return self.state is CredentialState.OK and bool(self.missing) and self.may_forward


def customer_request(tenant: str, troubles: Sequence[PresentTrouble], reader: str = "") -> CsmMessage | None:
    """None where there is nothing to ask for. `reader` signs it."""
    asked = tuple(_news(trouble) for trouble in troubles if trouble.can_be_asked)
    return CsmMessage(clean(tenant), "", clean(reader), asked, "") if asked else None


def _news(trouble: PresentTrouble) -> CredentialNews:
    if trouble.state is CredentialState.INVALID:
        change = StateChange(EventKind.CREDENTIAL_FAILED, trouble.state, trouble.detail)
        return CredentialNews(
            clean(trouble.label), trouble.kind, trouble.grant, (change,), {}, successor=trouble.successor
        )
    # As found, whatever was so before: what is newly required was never lost.
    groups = groupby(trouble.missing, key=attrgetter("group"))
    listing = Listing(tuple(Group(clean(name), tuple(map(_line, members))) for name, members in groups))
    return CredentialNews(clean(trouble.label), trouble.kind, trouble.grant, (), {EventKind.FOUND: listing})


def _line(permission: MissingPermission) -> PermissionLine:
    return PermissionLine(
        clean(permission.label),
        permission.likely,
        scopes=permission.scopes,
        effect=clean(permission.effect),
        is_role=permission.id == ROLE_ID,
    )
