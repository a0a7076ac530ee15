"""The service harness of the tests that run the whole service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.sandbox.sandbox import Sandbox
from tests.background_server import background_sandbox
from tests.service import ServiceHarness


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[ServiceHarness]:
    sandbox = Sandbox()
    with background_sandbox(sandbox) as url:
        yield ServiceHarness(tmp_path, sandbox, url)
