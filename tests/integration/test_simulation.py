"""A few cells of the simulated waves; `make simulate` runs the whole table of docs/notices.md."""

from pathlib import Path

import pytest

from tests.simulation.simulation import PERMISSIONS, run_cell, run_independent, template
from tests.simulation.wave import Cell, WaveKind


@pytest.mark.parametrize(
    ("cell", "most"),
    [
        (Cell(10, 1.0, WaveKind.ONE, 16), 2),
        (Cell(100, 0.05, WaveKind.ONE, 16), 2),
        (Cell(100, 0.22, WaveKind.REVOKED, 48), 4),
        (Cell(100, 0.10, WaveKind.EACH, 16), 5),
        (Cell(100, 1.0, WaveKind.EACH, 4), 5),
    ],
)
async def test_few_emails_leave_before_the_brake_holds(cell: Cell, most: int, tmp_path: Path) -> None:
    """Whatever the number of tenants, the share that changes, the interval, and what changes."""
    await template(tmp_path / "template.sqlite3", cell.tenants)
    outcomes = [await run_cell(cell, seed, tmp_path / "template.sqlite3", tmp_path) for seed in range(3)]
    assert all(outcome.left <= most for outcome in outcomes), outcomes
    assert all(outcome.held for outcome in outcomes)


@pytest.mark.parametrize(
    ("cell", "most"),
    [
        (Cell(10, 1.0, WaveKind.EACH, 16), 5),
        (Cell(10, 1.0, WaveKind.REVOKED, 4), 4),
        (Cell(1_000, 0.22, WaveKind.ONE, 16), 4),
        (Cell(1_000, 0.50, WaveKind.ONE, 16), 4),
        (Cell(1_000, 0.01, WaveKind.ONE, 48), 4),
    ],
)
async def test_the_waves_that_once_went_through_are_held(cell: Cell, most: int, tmp_path: Path) -> None:
    """All of ten, a fifth and a half of a thousand, and the smallest share of which few must leave."""
    await template(tmp_path / "template.sqlite3", cell.tenants)
    outcome = await run_cell(cell, 7, tmp_path / "template.sqlite3", tmp_path)
    assert outcome.left <= most
    assert outcome.held


async def test_one_cause_after_another_is_held_each_time(tmp_path: Path) -> None:
    """Six causes over a day, each for a tenth of a hundred tenants: of all sixty changes hardly an email leaves."""
    await template(tmp_path / "template.sqlite3", 100)
    outcome = await run_cell(Cell(100, 0.10, WaveKind.DAY, 16), 7, tmp_path / "template.sqlite3", tmp_path)
    assert outcome.left <= 4
    assert outcome.held > 30  # a tenant that changes twice has one held notice


async def test_two_that_change_are_no_wave(tmp_path: Path) -> None:
    """Two of a hundred lose the same: their CSMs are notified."""
    await template(tmp_path / "template.sqlite3", 100)
    outcome = await run_cell(Cell(100, 0.02, WaveKind.ONE, 16), 1, tmp_path / "template.sqlite3", tmp_path)
    assert (outcome.left, outcome.held) == (2, 0)


async def test_independent_losses_are_not_held(tmp_path: Path) -> None:
    """Six a year and tenant, two hundred tenants, a month."""
    await template(tmp_path / "template.sqlite3", 200, PERMISSIONS)
    outcome = await run_independent(200, 30, 1, tmp_path / "template.sqlite3", tmp_path)
    assert outcome.left > 50
    assert outcome.held == 0
