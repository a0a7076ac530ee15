"""The sandbox's rate limit: a fixed window of ten seconds, shared by an account's keys."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.sandbox.greenhouse.rate_limit import RateLimitWindow
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.settings import SandboxSettings
from monitor.sandbox.sandbox import Sandbox
from tests.sandbox_session import Clock, header, sandbox_session


def test_the_window_counts_down_and_starts_again() -> None:
    """Remaining falls to 0, the next request gets 429 with when to retry, and the next window is full."""
    clock = Clock(1_700_000_003.5)
    session = sandbox_session(clock=clock, limit=3)
    remaining = [header(session.send("GET /v1/jobs"), "X-RateLimit-Remaining") for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    refused = session.send("GET /v1/jobs")
    assert (refused.status, session.last().reason) == (429, AnswerReason.RATE_LIMITED)
    assert (header(refused, "X-RateLimit-Reset"), header(refused, "Retry-After")) == ("1700000010", "7")
    clock.now = 1_700_000_010.0
    assert header(session.send("GET /v1/jobs"), "X-RateLimit-Remaining") == "2"


def test_other_traffic_takes_its_share() -> None:
    """The customer's own requests count against the same limit, in every window."""
    clock = Clock()
    session = sandbox_session(clock=clock, limit=50, other_traffic=48)
    for _ in range(2):
        assert [session.send("GET /v1/jobs").status for _ in range(3)] == [200, 200, 429]
        clock.now += 10


def test_the_headers_can_be_left_out() -> None:
    """Then neither an answer nor a 429 states the limit."""
    session = sandbox_session(limit=1, limit_headers=False)
    names = [name for _ in range(2) for name, _ in session.send("GET /v1/jobs").headers]
    assert names == [b"X-Request-Id"] * 2


def test_keys_of_an_account_share_the_window() -> None:
    """The limit is per account."""
    session = sandbox_session(limit=2)
    session.send("GET /v1/jobs")
    session.key = session.sandbox.add_key("acme", label="Other")
    assert [session.send("GET /v1/jobs").status for _ in range(2)] == [200, 429]


@given(st.lists(st.floats(0, 100), max_size=80).map(sorted), st.integers(1, 20), st.integers(0, 25))
def test_no_window_lets_through_more_than_the_limit(times: list[float], limit: int, other: int) -> None:
    """In each window at most the limit minus other traffic passes, and none is refused before that."""
    window, settings, passed = RateLimitWindow(), SandboxSettings(limit=limit, other_traffic=other), dict[int, int]()
    for now in times:
        take = window.take(now, settings)
        number = int(now // 10)
        assert take.allowed == (passed.get(number, 0) < max(limit - other, 0))
        passed[number] = passed.get(number, 0) + take.allowed
        assert now < take.reset_at <= now + 10


def test_strangers_are_forgotten() -> None:
    """Ten thousand unknown keys do not fill the memory."""
    sandbox = Sandbox(clock=Clock())
    for number in range(10_000):
        sandbox.handle(SandboxRequest("GET", "/", {"authorization": basic(f"key-{number}")}))
    assert len(sandbox._stranger_windows) <= 1000
