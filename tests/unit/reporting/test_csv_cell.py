"""Cells of CSV."""

from datetime import datetime, timedelta, timezone

import pytest

from monitor.reporting.csv_cell import inert


def test_a_cell_of_csv_is_never_a_formula(subtests: pytest.Subtests) -> None:
    """Somebody else may write the names in the tenants file, and spreadsheets run texts that begin like this."""
    for text in ("=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\rx"):
        with subtests.test(text):
            assert inert(text) == "'" + text
    assert inert("Acme") == "Acme"
    assert inert(None) == ""


def test_a_moment_is_in_utc() -> None:
    """To the second, with a Z."""
    assert inert(datetime(2026, 11, 23, 12, 0, 1, 5, tzinfo=timezone(timedelta(hours=2)))) == "2026-11-23T10:00:01Z"
