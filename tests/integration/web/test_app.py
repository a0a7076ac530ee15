"""`/metrics`, `/healthz` and `/readyz` over real HTTP."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

import pytest

from monitor.errors import ConfigurationError, StoreError
from monitor.metrics import Metrics
from monitor.web.app import application
from monitor.web.serve import serving


async def reachable() -> None:
    pass


async def unreachable() -> None:
    raise StoreError("no route to postgres://user:password@db")


def fetch(url: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.headers["Content-Type"], problem.read().decode()


async def answer(path: str, reach: Callable[[], Awaitable[None]] = reachable) -> tuple[int, str, str]:
    async with serving(application(Metrics("1.2.3"), reach), "127.0.0.1", 0) as url:
        return await asyncio.to_thread(fetch, url + path)


async def test_metrics_are_in_prometheus_text_format() -> None:
    """The content type is Prometheus's, and the build info has the release."""
    status, content_type, text = await answer("/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    assert 'harvest_monitor_build_info{version="1.2.3"} 1.0' in text


async def test_healthz_answers_whatever_the_database_does() -> None:
    """It says only that the event loop runs: a database that is down must not get the process killed."""
    assert (await answer("/healthz", unreachable))[0] == 200


async def test_readyz_says_only_whether_the_database_answers() -> None:
    """200 or 503; the reason is in the log, not in the answer."""
    assert (await answer("/readyz"))[0] == 200
    status, _, text = await answer("/readyz", unreachable)
    assert status == 503
    assert "password" not in text


async def test_there_are_no_other_pages() -> None:
    """No documentation, no OpenAPI, nothing that names the framework."""
    for path in ("/", "/docs", "/openapi.json", "/redoc"):
        assert (await answer(path))[0] == 404


async def test_a_port_that_is_taken_is_an_error_with_the_next_step() -> None:
    """The message names the port."""
    async with serving(application(Metrics("1"), reachable), "127.0.0.1", 0) as url:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            async with serving(application(Metrics("1"), reachable), "127.0.0.1", port):
                pass
