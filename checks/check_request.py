"""What one check is to find out, of whichever kind of credential."""

from dataclasses import dataclass
from datetime import datetime

from checks.credential import CredentialState
from checks.manifest import Manifest
from checks.report import CheckReport


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What one check is to find out. `declined` and `only` hold permission ids, `remembered` endpoints.

    `only` names the suspects of a second look; None asks for everything. A token is asked about as a whole, so a check
    of Harvest v3 heeds neither `only` nor `remembered`.
    """

    manifest: Manifest
    features: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    remembered: frozenset[str] = frozenset()
    only: frozenset[str] | None = None


def untried(manifest: Manifest, detail: str, now: datetime) -> CheckReport:
    """The report of a credential that could not even be tried; `detail` says what is wrong and what to do."""
    return _without_a_look(manifest, CredentialState.MISCONFIGURED, detail, now)


def unfetched(manifest: Manifest, now: datetime) -> CheckReport:
    """The report of a credential that what gives it failed to give this time."""
    return _without_a_look(manifest, CredentialState.UNREACHABLE, "token_source", now)


def _without_a_look(manifest: Manifest, state: CredentialState, detail: str, now: datetime) -> CheckReport:
    return CheckReport(
        manifest_name=manifest.name,
        manifest_version=manifest.version,
        manifest_digest=manifest.digest,
        state=state,
        detail=detail,
        findings=(),
        started_at=now,
    )
