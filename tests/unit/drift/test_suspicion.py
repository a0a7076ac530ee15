"""What is known of a credential goes along with the next check of that very credential, and of no other."""

from dataclasses import replace

from checks.check_request import CheckRequest
from checks.manifest import load
from checks.report import Verdict
from monitor.drift import Known, KnownCredential, KnownPermission
from monitor.drift.suspicion import Suspicion

REQUEST = CheckRequest(load("gem"))
DIGEST = REQUEST.manifest.digest
KNOWN = Known(
    KnownCredential(fingerprint="one", manifest_digest=DIGEST),
    {
        "read": KnownPermission("Jobs", "Read", Verdict.GRANTED, rule="S1"),
        "listed": KnownPermission("Jobs", "Listed", Verdict.GRANTED, rule="S3"),
        "carried": KnownPermission("Jobs", "Carried", rule="S3"),
        "lost": KnownPermission("Jobs", "Lost", Verdict.MISSING),
        "open": KnownPermission("Jobs", "Open"),
    },
)


def test_what_was_granted_and_what_was_missing_is_said_of_the_same_credential_alone() -> None:
    """Not of another secret, and not of another manifest, where an id may mean another thing."""
    suspicion = Suspicion.of(KNOWN, frozenset())
    same = suspicion.narrow(REQUEST, "one")
    assert (same.granted_before, same.missing_before) == ({"read", "listed"}, {"lost"})
    assert same.granted_by_list == {"listed"}
    for other in (suspicion.narrow(REQUEST, "two"), replace(suspicion, manifest_digest="x").narrow(REQUEST, "one")):
        assert (other.granted_before, other.missing_before) == (frozenset(), frozenset())
        assert other.granted_by_list == frozenset()
