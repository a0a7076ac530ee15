"""docs/verdicts.md agrees with the code."""

import re

from checks.credential import CredentialState
from checks.judgement import GONE_RULES, SharedRule
from checks.reasons import DETAILS, REASONS
from checks.v1.verdicts import KeyRule
from checks.v3.verdicts import ScopeRule
from monitor.incidents.status import PRESENT
from tests.paths import ROOT

PAGE = ROOT / "docs" / "verdicts.md"


def rows(columns: int) -> list[tuple[str, ...]]:
    """The rows of the page's tables with so many columns, without backquotes around a whole cell."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split(" | "))
        if line.startswith("|") and len(cells) == columns:
            found.append(tuple(re.sub(r"^`([a-z0-9_]+)`$", r"\1", cell) for cell in cells))
    return found


def test_every_rule_is_documented_with_its_number_verdict_and_sentence() -> None:
    """The tables have exactly the rules of the code, in order."""
    documented = [cells for cells in rows(3) if re.fullmatch(r"[VS]\d+", cells[0])]
    assert documented == [
        (rule.number, rule.verdict.value, rule.sentence) for rule in (*KeyRule, *SharedRule, *ScopeRule)
    ]


def test_the_rules_that_are_gone_are_documented_and_their_numbers_are_not_used_again() -> None:
    """A stored number must mean one rule for ever."""
    section = PAGE.read_text(encoding="utf-8").split("## Rules of earlier releases")[1].split("\n## ")[0]
    named = section.split(" are gone")[0].replace("V1 to V7", "V1, V2, V3, V4, V5, V6, V7")
    assert set(re.findall(r"[VS]\d+", named)) == GONE_RULES
    assert not GONE_RULES & {rule.number for rule in (*KeyRule, *SharedRule, *ScopeRule)}


def test_every_reason_and_detail_is_documented() -> None:
    """Each with the sentence in the code; the page has no others."""
    states = {state.value for state in CredentialState}
    documented = [row for row in rows(2) if re.fullmatch(r"[a-z0-9_]+", row[0])]
    expected = {*REASONS.items(), *DETAILS.items()}
    assert expected <= set(documented)
    other = {*states, *PRESENT, "state", "reason", "detail", "status"}
    assert {name for name, _ in documented} - {name for name, _ in expected} <= other


def test_every_status_of_a_tenant_is_documented_in_its_place() -> None:
    """The table has the order of the severities."""
    section = PAGE.read_text(encoding="utf-8").split("## How a tenant stands")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == [*PRESENT]


def test_every_state_of_a_credential_is_documented() -> None:
    """Each state has a row that says when it applies."""
    assert {state.value for state in CredentialState} <= {name for name, _ in rows(2)}
