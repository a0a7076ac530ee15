"""What a verdict rests on, in the words of Greenhouse's screens. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from checks.catalogue.endpoints import catalogue
from checks.catalogue.scopes import scope
from checks.v3.gate import INTROSPECT, lists
from monitor.drift import KnownPermission


@dataclass(frozen=True, slots=True)
class NamedRequest:
    """A request under the label that Greenhouse shows for it, where it is known, and as it is documented."""

    label: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class VerdictEvidence:
    """`status` was answered to `asked`, the permission's own request; `others` are answers that count as well.

    `status` is None where nothing was answered, `asked` for scopes, whose list is among `others`; `more` counts what
    `others` leaves out.
    """

    status: int | None
    asked: str | None
    others: tuple[NamedRequest, ...]
    more: int
    at: datetime


def verdict_evidence(known: KnownPermission, asked: str | None, labels: Mapping[str, str]) -> VerdictEvidence | None:
    """None where an earlier release decided, which kept none. `labels` are the manifest's, by endpoint."""
    if known.evidence_at is None:
        return None
    others = (_named(endpoint, labels) for endpoint in known.evidence or ())
    return VerdictEvidence(known.answered_status, asked, tuple(others), known.more_evidence or 0, known.evidence_at)


def _named(endpoint: str, labels: Mapping[str, str]) -> NamedRequest:
    return NamedRequest(labels.get(endpoint) or _titles().get(endpoint, ""), endpoint)


@cache
def _titles() -> dict[str, str]:
    """Of controls, and of what is asked with a token."""
    controls = {entry.endpoint: entry.title for entry in catalogue().controls.values()}
    read = {entry.endpoint: scope(name).title for name, entry in lists().items()}
    return {**controls, **read, INTROSPECT.endpoint: "What the auth server says about the token"}
