"""What a pre-flight says about each outcome."""

from dataclasses import replace

import pytest

from checks.credential import CredentialKind, CredentialState
from checks.report import PAUSED, CheckReport, Finding, Verdict
from checks.v3.verdicts import ROLE_ID
from monitor.checking.preflight.advice import RECONNECT, WHERE, advice
from monitor.tenants.file import Grant
from tests.reports import failed, served

V1, V3 = CredentialKind.HARVEST_KEY, CredentialKind.HARVEST_OAUTH


def lacking(permission_id: str, group: str, label: str, *scopes: str, mapping: str | None = None) -> Finding:
    return Finding(permission_id, group, label, Verdict.MISSING, "V1", "refused", None, mapping, scopes=scopes)


def with_findings(*findings: Finding) -> CheckReport:
    return replace(served({}), findings=findings)


def test_every_outcome_has_a_sentence(subtests: pytest.Subtests) -> None:
    """And boxes only where something is missing that the customer can tick."""
    cases = {
        "compliant": (served({"jobs": "g"}), "The integration has everything that could be checked."),
        "unchecked": (served({"jobs": "g", "merge": "n"}), "1 permission could not be checked."),
        "undecided": (served({"jobs": "u"}), "1 permission could not be decided: check again in a few minutes."),
        "declined": (served({"jobs": "m"}, declined=["jobs"]), "The integration has everything"),
        "invalid": (failed(CredentialState.INVALID), "."),
        "paused": (replace(served({}), detail=PAUSED), "Checks paused because many tenants were in trouble"),
    }
    for name, (report, words) in cases.items():
        with subtests.test(name):
            found = advice(report, V1)
            assert words in found.summary
            assert (found.where, found.tick) == (None, ())


def test_boxes_of_a_key_are_grouped_in_the_manifests_order() -> None:
    """The best match is marked as such."""
    found = advice(
        with_findings(
            lacking("jobs.list", "Jobs", "GET: List jobs"),
            lacking("jobs.get", "Jobs", "GET: Retrieve job", mapping="likely"),
            lacking("apps.list", "Applications", "GET: List Applications"),
        ),
        V1,
    )
    shown = [(group.group, [(box.label, box.likely) for box in group.boxes]) for group in found.tick]
    assert shown == [
        ("Jobs", [("GET: List jobs", False), ("GET: Retrieve job", True)]),
        ("Applications", [("GET: List Applications", False)]),
    ]
    assert (found.where, found.summary[:17]) == (WHERE[V1], "3 boxes are not t")


def test_a_scope_that_two_permissions_need_is_one_box() -> None:
    """Under Greenhouse's own title."""
    scope = "harvest:offers:list"
    found = advice(with_findings(lacking("a", "Offers", "GET: A", scope), lacking("b", "Offers", "GET: B", scope)), V3)
    assert [len(group.boxes) for group in found.tick] == [1]
    assert found.where == WHERE[V3]


def test_a_partners_customer_connects_again() -> None:
    """There is nothing to tick."""
    report = with_findings(lacking("a", "Offers", "GET: A", "harvest:offers:list"))
    assert advice(report, V3, Grant.PARTNER).where == RECONNECT


def test_another_role_is_no_box() -> None:
    """It is said in words."""
    found = advice(with_findings(lacking(ROLE_ID, "Role of the token's user", "Site Admin")), V3)
    assert (found.tick, found.where) == ((), None)
    assert found.summary.startswith("The token acts for a user who is not a Site Admin")
