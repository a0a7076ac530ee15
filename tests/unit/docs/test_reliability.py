"""docs/reliability.md lists the faults that `make faults` injects, with the number of runs."""

import re

from tests.faults.matrix import ROWS
from tests.faults.soak import MOST_MORE
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")


def table() -> list[list[str]]:
    """The cells of the rows of the fault table."""
    lines = PAGE.partition("| fault | runs |")[2].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][
        : len(ROWS)
    ]


def test_every_fault_of_the_matrix_has_its_row_with_as_many_runs() -> None:
    """The table is the one that the long form prints."""
    assert [(row[0], int(row[1])) for row in table()] == [(row.title, row.long) for row in ROWS]


def test_the_page_claims_no_loss_and_the_table_agrees() -> None:
    """Nothing was lost and no event doubled, so the sentence above the table is true."""
    assert {(row[3], row[4]) for row in table()} == {("0", "0")}
    assert "Nothing was lost and no event recorded twice" in PAGE


def test_at_least_a_hundred_of_the_runs_are_kills() -> None:
    """At random moments of sweeps while mail is sent, on either database."""
    kills = [int(row[1]) for row in table() if row[0].startswith("kill -9") and "first start" not in row[0]]
    assert sum(kills) >= 100


def test_the_page_says_what_may_grow_in_a_soak() -> None:
    """The bounds are those that `make soak` applies."""
    (percent,) = re.findall(r"at most (\d+) % more memory", PAGE)
    assert 1 + int(percent) / 100 == MOST_MORE["memory"]
    assert MOST_MORE["handles"] == MOST_MORE["tasks"] == 1.0
