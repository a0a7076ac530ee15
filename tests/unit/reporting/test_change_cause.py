"""Whose doing a change is: a rule decides, or it is not known yet."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from checks.credential import CredentialState
from monitor.drift import EventKind
from monitor.reporting.change_cause import OTHERS_NEEDED, CauseOrigin, ChangeEvidence, cause_of
from tests.cases import for_each
from tests.paths import ROOT

LOSS = ChangeEvidence(EventKind.LOST, tenants=1, others_served=500, expected_share=0.0005)
FAILURE = replace(LOSS, kind=EventKind.CREDENTIAL_FAILED, state=CredentialState.INVALID)
CASES = {
    "the manifest began to require it": (replace(LOSS, kind=EventKind.NEWLY_REQUIRED), CauseOrigin.OURS, "C1"),
    "a wrong tenants file": (replace(FAILURE, state=CredentialState.MISCONFIGURED), CauseOrigin.OURS, "C2"),
    "a token feed that stands still": (
        replace(FAILURE, state=CredentialState.UNREACHABLE, detail="token_stale"),
        CauseOrigin.OURS,
        "C3",
    ),
    "a proxy that refuses its password": (
        replace(FAILURE, tenants=300, state=CredentialState.UNREACHABLE, detail="proxy_login"),
        CauseOrigin.OURS,
        "C8",
    ),
    "a proxy that could not reach Greenhouse": (
        replace(FAILURE, state=CredentialState.UNREACHABLE, detail="proxy_failed"),
        CauseOrigin.UNKNOWN,
        "C7",
    ),
    "a retired API": (replace(FAILURE, state=CredentialState.RETIRED), CauseOrigin.GREENHOUSE, "C4"),
    "forty of four hundred": (replace(LOSS, tenants=40, others_served=360), CauseOrigin.NOT_CUSTOMER, "C5"),
    "four of three hundred": (replace(LOSS, tenants=4, others_served=296), CauseOrigin.NOT_CUSTOMER, "C5"),
    "three of a hundred thousand, as chance has it": (
        replace(LOSS, tenants=3, others_served=100_000),
        CauseOrigin.UNKNOWN,
        "C7",
    ),
    "one alone, and hundreds served": (LOSS, CauseOrigin.CUSTOMER, "C6"),
    "one alone, and too few served to tell": (
        replace(LOSS, others_served=OTHERS_NEEDED - 1),
        CauseOrigin.UNKNOWN,
        "C7",
    ),
    "one alone, while many others are in other trouble": (
        replace(LOSS, failing_otherwise=60),
        CauseOrigin.UNKNOWN,
        "C7",
    ),
    "one rejected key": (FAILURE, CauseOrigin.CUSTOMER, "C6"),
    "one refused everything": (replace(FAILURE, state=CredentialState.BLOCKED), CauseOrigin.CUSTOMER, "C6"),
    "one without any usable answer": (replace(FAILURE, state=CredentialState.UNREACHABLE), CauseOrigin.UNKNOWN, "C7"),
    "all rejected at once": (replace(FAILURE, tenants=300, others_served=0), CauseOrigin.NOT_CUSTOMER, "C5"),
    "a secret that never worked here": (replace(FAILURE, kind=EventKind.FOUND), CauseOrigin.UNKNOWN, "C7"),
    "something that came back": (replace(LOSS, kind=EventKind.REGAINED), CauseOrigin.UNKNOWN, "C0"),
}


@for_each(CASES)
def test_each_case_is_decided_by_its_rule(name: str) -> None:
    """The table above: what is known, whose doing it is, and by which rule."""
    evidence, origin, rule = CASES[name]
    found = cause_of(evidence)
    assert (found.origin, found.rule) == (origin, rule)
    assert found.because.plain.endswith(".")


@given(
    st.sampled_from([EventKind.LOST, EventKind.CREDENTIAL_FAILED, EventKind.FOUND]),
    st.integers(1, 2000),
    st.integers(0, 2000),
    st.integers(0, 2000),
    st.sampled_from([None, CredentialState.INVALID, CredentialState.BLOCKED, CredentialState.UNREACHABLE]),
)
def test_the_customer_is_never_blamed_for_what_many_share(
    kind: EventKind, tenants: int, others: int, failing: int, state: CredentialState | None
) -> None:
    """Only for what at most two tenants have, while many others are served and few are in other trouble."""
    found = cause_of(ChangeEvidence(kind, tenants, others, 0.0005, state, failing_otherwise=failing))
    if found.origin is CauseOrigin.CUSTOMER:
        assert tenants <= 2
        assert others >= OTHERS_NEEDED
        assert failing * 10 <= others


def test_the_docs_list_every_rule_with_its_origin() -> None:
    """docs/causes.md, and no other rules."""
    page = (ROOT / "docs" / "causes.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| (C\d) \| ([^|]+) \|", page, re.M))
    used = {rule: origin.words.lower().replace("'", "’") for _, origin, rule in CASES.values()}
    assert {rule: words.lower().replace("'", "’") for rule, words in listed.items()} == used
