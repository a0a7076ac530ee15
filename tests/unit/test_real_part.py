"""The rule for what a machine may lack."""

import pytest

from tests.real_part import PartUnavailable, real_part


def test_a_part_that_is_missing_skips_on_a_desk_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not installed"), real_part():
        raise PartUnavailable("it is not installed")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(PartUnavailable, match="not installed"), real_part():
        raise PartUnavailable("it is not installed")
