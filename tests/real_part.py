"""What the tests drive beside Python packages: a server, a browser, a tool. One rule for all that may be missing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class PartUnavailable(Exception):
    """It cannot be had on this machine; the message says why, and what to install."""


@contextmanager
def real_part() -> Iterator[None]:
    """Within, a test or fixture whose part is not to be had is skipped on a desk, and fails in CI."""
    try:
        yield
    except PartUnavailable as why:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(why))
