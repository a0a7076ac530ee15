"""A Greenhouse that misbehaves: each whole check over real HTTP ends in a known state, never in a guess."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from checks.answer import Answer
from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.credential import CredentialState, Secret
from checks.manifest import load
from checks.report import CheckReport, Verdict, WriteAlarm
from checks.wire.connection import ConnectionSettings
from monitor.checking.confirmation import Confirmation
from monitor.checking.greenhouse import Greenhouse, RequestLimits
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.run import running
from tests.installation import LIMITS, NullObserver
from tests.raw_server import always, answer, raw_server
from tests.reports import KEY, POLICY, T0

REQUEST = CheckRequest(load("gem"))
LONG_TIMEOUTS = ConnectionSettings(connect_timeout=10, read_timeout=10, request_timeout=10)  # enough on a busy machine
SHORT_TIMEOUTS = ConnectionSettings(connect_timeout=2, read_timeout=0.5, request_timeout=1)
CLOSE_REASONS = "close_reasons.get_close_reasons"


class AlarmFailsTest:
    async def may_write(self, entry: Entry) -> bool:
        return True

    async def halt(self, alarm: WriteAlarm) -> None:
        raise AssertionError(f"a write was accepted: {alarm}")


class WaitRecorder(NullObserver):
    """Records waits; with `after` it calls a function after so many requests."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []
        self.after: tuple[int, Callable[[], None]] | None = None
        self._requests = 0

    def request(self, entry: Entry, answer: Answer) -> None:
        self._requests += 1
        if self.after is not None and self._requests == self.after[0]:
            self.after[1]()

    def waited(self, reason: str, seconds: float) -> None:
        self.waits.append((reason, seconds))


class GreenhouseHarness:
    """One key at one sandbox, and the client to it."""

    def __init__(self, sandbox: Sandbox, key: Key, greenhouse: Greenhouse, waits: WaitRecorder) -> None:
        self.sandbox, self.key, self.greenhouse, self.waits = sandbox, key, greenhouse, waits

    def fault(self, kind: str, **details: object) -> None:
        self.sandbox.add_fault(Fault.model_validate({"kind": kind, **details}))

    async def check(self, request: CheckRequest = REQUEST, permitted: WriteProbes = WriteProbes.ALL) -> CheckReport:
        return await self.greenhouse.check("acme", Secret(self.key.text), request, permitted, AlarmFailsTest())

    def lines(self, path: str) -> int:
        return sum(entry.target.startswith(path) for entry in self.sandbox.request_log.entries())


@asynccontextmanager
async def greenhouse_harness(
    limits: RequestLimits = LIMITS, connection: ConnectionSettings = LONG_TIMEOUTS, **settings: object
) -> AsyncIterator[GreenhouseHarness]:
    sandbox = Sandbox()
    sandbox.add_account("acme", **{"limit": 1_000_000, **settings})
    key = sandbox.add_key("acme", "gem")
    waits = WaitRecorder()
    async with running(sandbox) as url:
        yield GreenhouseHarness(sandbox, key, Greenhouse(url, "harvest-monitor/test", connection, limits, waits), waits)


def reasons(report: CheckReport) -> dict[str, tuple[str, str]]:
    return {f.permission_id: (f.verdict.value, f.reason) for f in report.findings if f.verdict is Verdict.UNDECIDED}


@pytest.mark.parametrize(
    ("kind", "details", "reason", "asked"),
    [
        ("status", {"status": 500}, "server_error", 2),
        ("status", {"status": 503}, "server_error", 2),
        ("timeout", {}, "timeout", 2),
        ("reset", {}, "no_connection", 2),
        ("truncated", {}, "no_connection", 2),
        ("wrong_json", {"text": "null"}, "not_json", 2),
        ("wrong_json", {"text": '"a string"'}, "not_json", 2),
        ("html", {}, "not_json", 2),
        ("gzip_bomb", {}, "not_json", 2),
        ("huge", {"size": 5_000_000}, "not_json", 2),
        ("drip", {}, "timeout", 2),
        ("slow", {"seconds": 2}, "timeout", 2),
        ("redirect", {"location": "https://evil.example/v1"}, "redirect", 1),
        ("status", {"status": 403}, "unknown_refusal", 1),
        ("status", {"status": 418}, "unexpected_answer", 1),
    ],
)
async def test_one_failing_endpoint_is_undecided_and_affects_no_other(
    kind: str, details: dict[str, object], reason: str, asked: int
) -> None:
    """Its permission is undecided with the failure's reason; the 62 others are decided; a GET is repeated once."""
    async with greenhouse_harness(connection=SHORT_TIMEOUTS if reason == "timeout" else LONG_TIMEOUTS) as harness:
        harness.fault(kind, prefix="/v1/close_reasons", **details)
        report = await harness.check()
        assert reasons(report) == {CLOSE_REASONS: ("undecided", reason)}
        assert report.state is CredentialState.OK
        assert harness.lines("/v1/close_reasons") == asked


@pytest.mark.parametrize(
    ("kind", "details", "times"),
    [("status", {"status": 502}, 1), ("reset", {}, 1), ("html", {}, 1)],
)
async def test_a_single_failure_does_not_change_the_verdict(kind: str, details: dict[str, object], times: int) -> None:
    """One bad answer and then the right one is granted."""
    async with greenhouse_harness() as harness:
        harness.fault(kind, prefix="/v1/close_reasons", times=times, **details)
        assert reasons(await harness.check()) == {}


@pytest.mark.parametrize(
    ("kind", "details", "detail", "most_requests"),
    [
        ("status", {"status": 500}, "server_error", 6),
        ("timeout", {}, "timeout", 6),
        ("reset", {}, "connection_closed", 6),
        ("wrong_json", {}, "no_usable_answer", 44),
    ],
)
async def test_if_every_request_fails_it_is_unreachable_and_ends_soon(
    kind: str, details: dict[str, object], detail: str, most_requests: int
) -> None:
    """The check gives up after a few requests, without any verdict."""
    async with greenhouse_harness(connection=SHORT_TIMEOUTS if kind == "timeout" else LONG_TIMEOUTS) as harness:
        harness.fault(kind, **details)
        report = await harness.check()
        assert (report.state, report.detail) == (CredentialState.UNREACHABLE, detail)
        assert report.counts[Verdict.GRANTED] == report.counts[Verdict.MISSING] == 0
        assert harness.sandbox.request_log.request_count <= most_requests


async def test_a_failed_write_is_never_repeated() -> None:
    """Each write probe reaches the server once, whatever the answer; it may be repeated only after a 429."""
    for kind in ("timeout", "reset", "truncated", "html"):
        async with greenhouse_harness(connection=SHORT_TIMEOUTS if kind == "timeout" else LONG_TIMEOUTS) as harness:
            harness.fault(
                kind if kind != "html" else "status", method="PATCH", **({"status": 500} if kind == "html" else {})
            )
            await harness.check()
            writes = [(e.method, e.target) for e in harness.sandbox.request_log.entries() if e.method == "PATCH"]
            assert len(writes) == len(set(writes)) >= 3
            assert harness.sandbox.request_log.change_count == 0


@pytest.mark.parametrize(
    ("headers", "wait", "tries", "detail"),
    [
        (["Retry-After: 1"], 1.0, 3, "rate_limited"),
        (["X-RateLimit-Reset: 2", "Retry-After: 1"], 1.0, 3, "rate_limited"),
        (["X-RateLimit-Reset: 1"], 1.0, 3, "rate_limited"),
        ([], 10.0, 1, "deadline"),  # during the first wait
    ],
)
async def test_a_429_is_waited_for_and_repeated_until_the_third(
    headers: list[str], wait: float, tries: int, detail: str
) -> None:
    """Waits for Retry-After, else until the reset, else ten seconds; after the third 429 it gives up."""
    waits = WaitRecorder()
    limited = answer("429 Too Many Requests", b"", *headers)
    quick = replace(LIMITS, deadline_seconds=3.5)
    async with raw_server(always(limited)) as server:
        address = f"http://127.0.0.1:{server.port}"
        greenhouse = Greenhouse(address, "harvest-monitor/test", ConnectionSettings(), quick, waits)
        report = await greenhouse.check("acme", Secret("key"), REQUEST, WriteProbes.OFF, AlarmFailsTest())
    assert waits.waits[0] == ("rate_limited", wait)
    assert server.requests.count(server.requests[0]) == tries
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, detail)


async def test_half_of_the_limit_is_left_to_the_customer() -> None:
    """With a limit of 50 at most 26 requests are sent in a window: below half, the check pauses."""
    short = replace(LIMITS, deadline_seconds=3)
    async with greenhouse_harness(short, limit=50) as harness:
        report = await harness.check()
        assert harness.sandbox.request_log.request_count == 26
        assert harness.waits.waits == [("reserve", 10.0)]
        assert {reason for _, reason in reasons(report).values()} == {"deadline"}


async def test_the_rate_is_kept() -> None:
    """At twenty requests a second ten of them take half a second: none is sent too early."""
    async with greenhouse_harness(replace(LIMITS, requests_per_second=20, deadline_seconds=1)) as harness:
        began = time.time()
        await harness.check()
        moments = [entry.at for entry in harness.sandbox.request_log.entries()]
        assert 15 <= len(moments) <= 22
        early = [number for number, at in enumerate(moments) if at < began + number / 20 - 0.005]
        assert early == []


async def test_an_answer_that_changes_between_the_checks_is_no_drift() -> None:
    """Unticked during the first check and ticked again before the second: granted, for a list and for a record."""
    async with greenhouse_harness() as harness:
        harness.key.untick("GET /v1/offers", "GET /v1/jobs/{id}")
        confirmation = Confirmation(POLICY)
        confirmation.add(await harness.check(), KEY, T0)
        assert len(confirmation.suspicion.suspects) == 2
        harness.key.tick("GET /v1/offers", "GET /v1/jobs/{id}")
        second = await harness.check(confirmation.suspicion.narrow(REQUEST, KEY))
        confirmation.add(second, KEY, T0)
        assert not confirmation.in_doubt
        assert {finding.verdict for finding in second.findings} == {Verdict.GRANTED}
        assert confirmation.report.missing == ()


async def test_a_key_killed_during_the_check_voids_it() -> None:
    """Answers before the known 401 do not count; that the key is dead is for the next check to say."""
    async with greenhouse_harness() as harness:
        harness.key.untick("GET /v1/applications")
        harness.waits.after = (10, harness.key.kill)
        report = await harness.check()
        assert report.requests == 10 + 6
        assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "contradicted")
        assert report.missing == ()
        assert (await harness.check()).state is CredentialState.INVALID


async def test_the_same_page_everywhere_after_the_date_looks_retired_and_is_no_drift() -> None:
    """The same HTML page for every request, also without a key: unreachable, and no permission is missing."""
    async with greenhouse_harness() as harness:
        harness.fault("html")
        report = await harness.check()
        assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "looks_retired")
        assert report.counts[Verdict.MISSING] == report.counts[Verdict.GRANTED] == 0


async def test_a_maintenance_that_is_over_makes_no_other_key_look_retired() -> None:
    """What a request without a key got then is not remembered: each check asks for itself."""
    async with greenhouse_harness() as harness:
        harness.fault("html")
        assert (await harness.check()).detail == "looks_retired"
        harness.sandbox.reset()
        harness.sandbox.change("acme", retired="404-html")
        assert (await harness.check()).detail == "uniform_answer"


async def test_a_block_of_one_credential_is_told_from_a_block_of_everybody() -> None:
    """By a request without a key, one in each check: if it is refused alike, it is not the credential's list."""
    async with greenhouse_harness() as harness:
        harness.sandbox.change("acme", blocked=True)
        report = await harness.check()
        assert (report.state, report.detail) == (CredentialState.BLOCKED, "unknown_refusal")
        harness.sandbox.change(None, blocked=True)
        report = await harness.check()
        assert (report.state, report.detail) == (CredentialState.BLOCKED, "refused_without_key")
        without_key = [e for e in harness.sandbox.request_log.entries() if e.authorization == "none"]
        assert [entry.target for entry in without_key] == ["/v1/candidates/0"] * 2
