"""One test for many cases of one rule: it runs all of them, and names each that fails."""

import inspect
import itertools
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest

Check = Callable[..., None]


def for_each(*axes: Iterable[Any], ids: Callable[[Any], object] = str) -> Callable[[Check], Check]:
    """Turns a check of one case into a test of all of them, or of every combination of several axes.

    For the rows of a table. The first arguments of the check are the case, the others are fixtures, which all cases
    share. A case that is a rule of its own is better off with pytest.mark.parametrize.
    """
    cases = list(itertools.product(*axes))

    def decorate(check: Check) -> Check:
        @wraps(check)
        def test(subtests: pytest.Subtests, **fixtures: Any) -> None:
            __tracebackhide__ = True
            assert cases, "there is no case to check"
            for case in cases:
                with subtests.test(", ".join(str(ids(part)) for part in case)):
                    check(*case, **fixtures)

        own = inspect.Parameter("subtests", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        fixtures = list(inspect.signature(check).parameters.values())[len(axes) :]
        test.__signature__ = inspect.Signature([own, *fixtures])  # type: ignore[attr-defined]  # what pytest asks for
        return test

    return decorate
