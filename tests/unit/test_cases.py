"""A test with a table of cases runs all of them, and names each that fails."""

import pytest

pytest_plugins = ["pytester"]


def outcome(pytester: pytest.Pytester, cases: str) -> pytest.RunResult:
    pytester.makepyfile(f"""
        import pytest
        from tests.cases import for_each

        @pytest.fixture
        def wanted():
            return 2

        @for_each({cases})
        def test_numbers(number, letter, wanted):
            assert number == wanted
    """)
    return pytester.runpytest_inprocess("-q", "-p", "no:asyncio", "-p", "no:schemathesis", "-o", "verbosity_subtests=0")


def test_every_combination_runs_and_each_that_fails_is_named(pytester: pytest.Pytester) -> None:
    """The cases after a failed one run as well; the other arguments are fixtures."""
    result = outcome(pytester, '[1, 2, 3], "ab"')
    result.assert_outcomes(failed=5)
    named = [line.split()[:2] for line in result.outlines if line.startswith("SUBFAILED")]
    assert [" ".join(words) for words in named] == [f"SUBFAILED[{n}, {letter}]" for n in (1, 3) for letter in "ab"]


def test_cases_that_all_pass_are_one_test(pytester: pytest.Pytester) -> None:
    outcome(pytester, '[2, 2, 2], "ab"').assert_outcomes(passed=1)


def test_a_table_without_a_row_fails(pytester: pytest.Pytester) -> None:
    """It would pass whatever the product does."""
    outcome(pytester, '[], "ab"').assert_outcomes(failed=1)
