"""Whose doing a change is: the customers', Greenhouse's, or our own; "not known yet" wherever no rule decides. Pure.

The rules are numbered, and the first that fits decides. A finding stands beside its evidence, and is never told to a
customer. docs/causes.md lists the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checks.connection_failure import OURS
from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.notices.compose.chance import poisson_tail
from monitor.reporting.sentence import Link, Piece, Sentence, say

FEW = 2  # so many tenants may change alike without a common cause
OTHERS_NEEDED = 20  # other tenants who were served since: then Greenhouse as a whole answers as it should
CHANCE = 1e-4
_OURS_DETAILS = ("token_stale", "secret_source", "secret_refused")
_FROM_OUTSIDE = (CredentialState.INVALID, CredentialState.BLOCKED)


class CauseOrigin(StrEnum):
    CUSTOMER = "customer"
    GREENHOUSE = "greenhouse"
    OURS = "ours"
    NOT_CUSTOMER = "not_customer"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    CauseOrigin.CUSTOMER: "The customer's",
    CauseOrigin.GREENHOUSE: "Greenhouse's",
    CauseOrigin.OURS: "Ours",
    CauseOrigin.NOT_CUSTOMER: "Greenhouse's or ours, not the customers'",
    CauseOrigin.UNKNOWN: "Not known yet",
}


@dataclass(frozen=True, slots=True)
class ChangeEvidence:
    """What is known about a change that one or more tenants share.

    `others_served` are tenants without it, with a credential of the same kind, which Greenhouse served in full since
    the first of these changed; `failing_otherwise` are tenants checked since then that it did not serve.
    `expected_share` is the share of checks that find such a change by chance.
    """

    kind: EventKind
    tenants: int
    others_served: int
    expected_share: float
    state: CredentialState | None = None
    detail: str = ""
    failing_otherwise: int = 0

    @property
    def beyond_chance(self) -> bool:
        checked = self.tenants + self.others_served + self.failing_otherwise
        return self.tenants > FEW and poisson_tail(self.tenants, checked * self.expected_share) < CHANCE

    @property
    def enough_others(self) -> bool:
        """Enough others are well, and few are in another trouble at the same time."""
        return self.others_served >= OTHERS_NEEDED and self.failing_otherwise * 10 <= self.others_served


@dataclass(frozen=True, slots=True)
class ChangeCause:
    origin: CauseOrigin
    rule: str
    because: Sentence

    @property
    def plain(self) -> str:
        return f"{self.origin.words}: {self.because.plain}"


def cause_of(evidence: ChangeEvidence, manifest_path: str = "/permissions") -> ChangeCause:
    """The first rule that fits."""
    e = evidence
    if e.kind is EventKind.NEWLY_REQUIRED:
        manifest = Link("the manifest", manifest_path)
        return _cause(CauseOrigin.OURS, "C1", manifest, " began to require it; nothing was taken away.")
    if e.state is CredentialState.MISCONFIGURED:
        return _cause(CauseOrigin.OURS, "C2", "the tenants file or a stored secret is wrong; Greenhouse was not asked.")
    if e.detail in _OURS_DETAILS:
        return _cause(CauseOrigin.OURS, "C3", "what supplies the secret or the token does not work.")
    if e.detail in OURS:
        return _cause(CauseOrigin.OURS, "C8", "our proxy, or the limits of our own process, let no request out.")
    if e.state is CredentialState.RETIRED:
        return _cause(CauseOrigin.GREENHOUSE, "C4", "the API that this key is for no longer answers.")
    if e.kind is EventKind.FOUND and e.state is not None:
        return _unknown("the credential never worked here; what we stored may not be what the customer made.")
    if e.kind not in _TAKEN_AWAY:
        return _cause(CauseOrigin.UNKNOWN, "C0", "nothing was taken away.")
    if e.beyond_chance:
        return _cause(CauseOrigin.NOT_CUSTOMER, "C5", *_alike(e))
    if e.tenants > FEW:
        return _unknown(f"{e.tenants:,} tenants changed alike, which may be chance.")
    if e.state is not None and e.state not in _FROM_OUTSIDE:
        return _unknown("no usable answer came; the way to Greenhouse, or Greenhouse, may be at fault.")
    if not e.enough_others:
        return _unknown(*_too_few(e))
    return _cause(CauseOrigin.CUSTOMER, "C6", *_alone(e))


_TAKEN_AWAY = (EventKind.LOST, EventKind.FOUND, EventKind.CREDENTIAL_FAILED)


def _cause(origin: CauseOrigin, rule: str, *because: Piece) -> ChangeCause:
    return ChangeCause(origin, rule, say(*because))


def _unknown(*because: Piece) -> ChangeCause:
    return _cause(CauseOrigin.UNKNOWN, "C7", *because)


def _alike(e: ChangeEvidence) -> Sequence[Piece]:
    checked = e.tenants + e.others_served + e.failing_otherwise
    return (
        "of ",
        checked,
        " tenants checked since then, ",
        e.tenants,
        " changed in the same way, which chance does not explain.",
    )


def _too_few(e: ChangeEvidence) -> Sequence[Piece]:
    if e.others_served < OTHERS_NEEDED:
        kind = " other tenants with the same kind of credential were served since then; "
        return (e.others_served, kind, OTHERS_NEEDED, " are needed to tell.")
    return (e.failing_otherwise, " other tenants are in trouble of another kind at the same time.")


def _alone(e: ChangeEvidence) -> Sequence[Piece]:
    served = ("Greenhouse served ", e.others_served, " other tenants since then, and ")
    if e.state is None:
        return (*served, "none of them lost this permission." if e.tenants == 1 else "one other lost it as well.")
    rejects = e.state is CredentialState.INVALID
    return (*served, "rejects this credential." if rejects else "refuses this one every request.")
