"""The rate of one credential."""

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any

from checks.catalogue.entry import WriteProbes
from checks.check_request import CheckRequest
from checks.credential import OAuthClient, Secret, Token
from checks.manifest import load
from checks.report import CheckReport, Outcome
from checks.wire.connection import ConnectionSettings
from monitor.checking.greenhouse import Greenhouse, RequestLimits
from monitor.checking.write_halt import LocalWriteGuard, LocalWriteHalt
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from tests.installation import NullObserver

LIMITS = RequestLimits(requests_per_second=5, total_requests_per_second=0, deadline_seconds=60)


async def test_checks_of_one_secret_at_the_same_time_share_its_rate() -> None:
    """A pre-flight and a regular check of it together stay within what the customer is promised."""
    sandbox = Sandbox()
    sandbox.add_account("acme")
    client = sandbox.add_client("acme")
    credential = OAuthClient(Secret(client.client_id), Secret(client.secret), Token(client.issue()))
    guard = LocalWriteGuard(LocalWriteHalt(), "acme")
    async with running(sandbox) as url:
        greenhouse = Greenhouse(url, "test", ConnectionSettings(), LIMITS, NullObserver())

        def check(tenant_id: str) -> Coroutine[Any, Any, CheckReport]:
            return greenhouse.check(tenant_id, credential, CheckRequest(load("gem")), WriteProbes.OFF, guard)

        began = monotonic()
        reports = await asyncio.gather(check("acme"), check("pre-flight"))
    assert [report.outcome for report in reports] == [Outcome.COMPLIANT] * 2
    requests = sum(report.requests for report in reports)
    assert requests >= 4
    assert monotonic() - began >= (requests - 1) / LIMITS.requests_per_second - 0.01
