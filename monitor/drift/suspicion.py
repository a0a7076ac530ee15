"""What was seen once and is not confirmed yet: when to check again, and what to ask then."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from checks.check_request import CheckRequest
from checks.report import Verdict
from checks.v3.verdicts import ScopeRule
from monitor.drift.model import Known

_SHORTEST_WAIT = timedelta(seconds=1)  # even where `confirm_after` is zero, checks that decide nothing are spaced out
_MOST_DOUBLINGS = 20  # the interval is the real bound; endless doubling would overflow a timedelta


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the last checks leave for the next one. `suspects` is empty where a full check is due.

    `fingerprint` and `manifest_digest` are those of the last full check, `refused` endpoints seen refused under them.
    `granted` and `missing` are permissions by what is known of them, `granted_by_list` those of the granted ones that a
    list of Harvest v3 showed, and no scope.
    """

    fingerprint: str | None = None
    manifest_digest: str | None = None
    suspects: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    granted: frozenset[str] = frozenset()
    granted_by_list: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()

    @classmethod
    def of(cls, known: Known, refused: frozenset[str]) -> "Suspicion":
        """While the credential itself is in doubt, everything is asked again."""
        credential = known.credential
        suspects = frozenset(id_ for id_, permission in known.permissions.items() if permission.suspect)
        narrow = credential.suspect_state is None
        granted = {id_: was.rule for id_, was in known.permissions.items() if was.verdict is Verdict.GRANTED}
        return cls(
            credential.fingerprint,
            credential.manifest_digest,
            suspects if narrow else frozenset(),
            refused,
            granted=frozenset(granted),
            granted_by_list=by_list(granted),
            missing=frozenset(id_ for id_, was in known.permissions.items() if was.missing),
        )

    def narrow(self, request: CheckRequest, fingerprint: str) -> CheckRequest:
        """The request limited to the suspects; whole where another secret or manifest is checked."""
        same = self.is_of(fingerprint, request.manifest.digest)
        return replace(
            request,
            remembered=self.remembered(fingerprint),
            only=self.only(fingerprint, request.manifest.digest),
            granted_before=self.granted if same else frozenset(),
            granted_by_list=self.granted_by_list if same else frozenset(),
            missing_before=self.missing if same else frozenset(),
        )

    def is_of(self, fingerprint: str | None, manifest_digest: str | None) -> bool:
        return fingerprint == self.fingerprint and manifest_digest == self.manifest_digest

    def only(self, fingerprint: str, manifest_digest: str) -> frozenset[str] | None:
        return self.suspects if self.is_of(fingerprint, manifest_digest) and self.suspects else None

    def remembered(self, fingerprint: str) -> frozenset[str]:
        return self.refused if fingerprint == self.fingerprint else frozenset()


def by_list(granted: Mapping[str, str]) -> frozenset[str]:
    """Of what is granted, with the rule that says so, what a list of Harvest v3 showed and introspection did not."""
    return frozenset(id_ for id_, rule in granted.items() if rule == ScopeRule.GRANTED_LIST.number)


def back_off(checks: int, confirm_after: timedelta, interval: timedelta) -> timedelta:
    """How long to wait after so many checks of a suspicion: doubled each time from `confirm_after` to the interval."""
    doublings = min(checks - 1, _MOST_DOUBLINGS)
    waited = max(confirm_after, _SHORTEST_WAIT) * 2**doublings if doublings else confirm_after
    return min(waited, interval)
