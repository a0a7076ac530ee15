"""The API does what its own description says, whatever is sent to it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from monitor.store.database import Database
from monitor.web.auth.role import AccessRole
from tests.store import everything
from tests.website import Website, website

Operation = APIOperation[Any, Any, Any, Any]

EXAMPLES = 8
"""Of each operation, with data that fits its description, and as many with data that does not."""
FEW = 2
REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
AS_DESCRIBED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def operations(site: Website, reader: str) -> Iterator[Operation]:
    schema = schemathesis.openapi.from_url(f"{site.url}/api/openapi.json", headers=headers(reader))
    # Else it draws tokens as well, and mostly hears that they are unknown.
    schema.config.generation.update(with_security_parameters=False)
    for found in schema.get_all_operations():
        yield found.ok()


def answers(operation: Operation, mode: GenerationMode, token: str | None, examples: int) -> list[Response]:
    """What is answered to what Hypothesis draws for this operation, the same in each run; each as it is described."""
    heard: list[Response] = []

    @settings(REPEATABLE, max_examples=examples)
    @given(case=operation.as_strategy(mode))
    def ask(case: Case) -> None:
        if operation.path.startswith("/api/v1/checks"):
            case.query = {}  # nobody waits for the end of a pre-flight here
        if mode is GenerationMode.POSITIVE and "tenant_id" in case.path_parameters:
            case.path_parameters["tenant_id"] = "lone"
        heard.append(case.call(headers=headers(token)))
        case.validate_response(heard[-1], checks=AS_DESCRIBED)

    with suppress(Unsatisfiable):  # an operation without parameters takes no wrong ones
        ask()
    return heard


def all_answers(
    site: Website, reader: str, token: str | None, examples: int, subtests: pytest.Subtests
) -> Counter[tuple[str, int]]:
    """How often each operation was answered with which status."""
    found: Counter[tuple[str, int]] = Counter()
    for operation in operations(site, reader):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with subtests.test(operation.label, mode=mode.value):
                heard = answers(operation, mode, token, examples)
                found.update((operation.label, answer.status_code) for answer in heard)
    return found


async def test_an_operator_gets_what_is_described(filled: Database, subtests: pytest.Subtests) -> None:
    """No fault of ours, no status, type, header or body that the description does not know; and most of it works."""
    async with website(filled) as site:
        token = await site.token(AccessRole.OPERATOR)
        found = await asyncio.to_thread(all_answers, site, token, token, EXAMPLES, subtests)
    served = {label for label, status in found if status in (200, 202)}
    assert {label for label, _ in found} - served == {"GET /api/v1/checks/{id}"}
    assert sum(found.values()) > 20 * EXAMPLES


async def test_a_viewer_reads_and_does_nothing(filled: Database, subtests: pytest.Subtests) -> None:
    """Actions are refused with 403 before anything that is sent is looked at, and nothing changes."""
    async with website(filled) as site:
        token = await site.token(AccessRole.VIEWER)
        await site.browser.get("/api/v1/who", headers=headers(token))
        before = await everything(filled)
        found = await asyncio.to_thread(all_answers, site, token, token, FEW, subtests)
        assert await everything(filled) == before
    acted = {status for (label, status) in found if label.startswith("POST")}
    assert acted == {403}


async def test_nobody_gets_anything(filled: Database, subtests: pytest.Subtests) -> None:
    """401, unless the address alone is refused."""
    async with website(filled) as site:
        reader = await site.token(AccessRole.VIEWER)
        found = await asyncio.to_thread(all_answers, site, reader, None, FEW, subtests)
    assert {status for _, status in found} <= {400, 401, 414}
    assert {label for label, status in found if status == 401} == {label for label, _ in found}
