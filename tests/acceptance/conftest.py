"""A vendor with its sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.sandbox.sandbox import Sandbox
from tests.neighbour import neighbour
from tests.vendor import Vendor


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Vendor]:
    sandbox = Sandbox()
    with neighbour(sandbox) as url:
        yield Vendor(tmp_path, sandbox, url)
