"""Which requests a fault of the sandbox hits, and what it answers."""

import pytest

from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.request_log import AnswerReason
from tests.sandbox_session import Clock, header, sandbox_session


@pytest.mark.parametrize(
    ("fault", "hit"),
    [
        (Fault(kind=FaultKind.STATUS), True),
        (Fault(kind=FaultKind.STATUS, account="acme"), True),
        (Fault(kind=FaultKind.STATUS, account="globex"), False),
        (Fault(kind=FaultKind.STATUS, prefix="/v1/jobs"), True),
        (Fault(kind=FaultKind.STATUS, prefix="/v1/users"), False),
        (Fault(kind=FaultKind.STATUS, method="GET"), True),
        (Fault(kind=FaultKind.STATUS, method="POST"), False),
    ],
)
def test_a_fault_hits_only_what_it_names(fault: Fault, hit: bool) -> None:
    """Account, method and path narrow a fault."""
    session = sandbox_session()
    session.sandbox.add_account("globex")
    session.sandbox.add_fault(fault)
    assert session.send("GET /v1/jobs/0").status == (503 if hit else 404)


def test_a_fault_ends_after_its_times() -> None:
    """It hits that many requests and no more; the fault that was added after it comes next."""
    session = sandbox_session()
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=500, times=2))
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=502, times=1))
    assert [session.send("GET /v1/jobs").status for _ in range(4)] == [500, 500, 502, 200]
    assert session.sandbox.faults.active() == []


def test_a_fault_ends_by_itself() -> None:
    """After its seconds it hits nothing; until then it shows how many are left."""
    clock = Clock()
    session = sandbox_session(clock=clock)
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, lasts=30))
    clock.now += 29.5
    assert session.send("GET /v1/jobs").status == 503
    (shown,) = session.sandbox.faults.shown()
    assert (shown["ends_in"], shown["hits"], shown["times"]) == (0.5, 1, None)
    clock.now += 0.5
    assert session.send("GET /v1/jobs").status == 200
    assert session.sandbox.faults.shown() == []


def test_a_fault_hits_a_random_share() -> None:
    """About that share of the requests is hit: others with another seed, the same ones with the same seed."""

    def hit(seed: int) -> list[bool]:
        session = sandbox_session()
        session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, share=0.3, seed=seed))
        return [session.send("GET /v1/jobs").status == 503 for _ in range(200)]

    assert 40 <= sum(hit(1)) <= 80
    assert hit(1) == hit(1) != hit(2)


def test_a_request_that_is_asked_again_is_drawn_anew() -> None:
    """The same request three times in a row: each is hit by itself, so that all three are as rare as chance has it."""
    session = sandbox_session()
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, share=0.3))
    asked = [[session.send("GET /v1/jobs").status == 503 for _ in range(3)] for _ in range(1000)]
    thrice, first = sum(map(all, asked)), sum(hits[0] for hits in asked)
    assert 10 <= thrice <= 50  # 27 by chance; three hundred if the first draw decided
    assert 0.2 <= sum(hits[1] for hits in asked if hits[0]) / first <= 0.4


def test_a_request_spared_by_one_fault_may_be_hit_by_the_next() -> None:
    """Each fault chooses its own share, and a fault that misses does not use up its times."""
    session = sandbox_session()
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=500, share=0.5, times=5))
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=502))
    statuses = [session.send("GET /v1/jobs").status for _ in range(50)]
    assert (statuses.count(500), statuses.count(502)) == (5, 45)
    assert statuses.index(502) < 9


def test_faults_for_one_account_come_before_those_for_all() -> None:
    """However late they are added; nothing changes for other accounts."""
    session = sandbox_session()
    session.sandbox.add_account("globex")
    other = session.sandbox.add_key("globex")
    for fault in (
        Fault(kind=FaultKind.STATUS, status=500),
        Fault(kind=FaultKind.STATUS, status=502, account="acme"),
        Fault(kind=FaultKind.STATUS, status=504, account="acme"),
    ):
        session.sandbox.add_fault(fault)
    assert session.send("GET /v1/jobs").status == 502
    session.key = other
    assert session.send("GET /v1/jobs").status == 500


def test_clearing_ends_the_faults_of_one_or_of_all() -> None:
    """One fault by its number, those for one account by its name; without a name all."""
    session = sandbox_session()
    for account in ("acme", None, "acme", None):
        session.sandbox.add_fault(Fault(kind=FaultKind.HTML, account=account))
    session.sandbox.faults.clear_one(2)
    session.sandbox.faults.clear("acme")
    assert [each.fault.account for each in session.sandbox.faults.active()] == [None]
    session.sandbox.faults.clear()
    assert session.sandbox.faults.active() == []


def test_a_fault_that_replaces_the_answer_changes_nothing() -> None:
    """A write that got a 503 was not handled; a write whose answer was lost on the way back was."""
    session = sandbox_session(on_behalf_of="off")
    complete = {"first_name": "a", "last_name": "b"}
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, times=1))
    session.send("POST /v1/prospects", complete)
    assert (session.changes(), session.last().fault, session.last().status) == ([], "status", 503)
    session.sandbox.add_fault(Fault(kind=FaultKind.RESET, times=1))
    session.send("POST /v1/prospects", complete)
    assert (session.changes(), session.last().fault, session.last().status) == (
        ["would have created a prospect"],
        "reset",
        None,
    )


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (Fault(kind=FaultKind.WRONG_JSON), 200, b"null"),
        (Fault(kind=FaultKind.WRONG_JSON, text='"text"'), 200, b'"text"'),
        (Fault(kind=FaultKind.HTML), 200, b"<!DOCTYPE html>"),
        (Fault(kind=FaultKind.REDIRECT), 302, b"<!DOCTYPE html>"),
        (Fault(kind=FaultKind.REDIRECT, status=307), 307, b"<!DOCTYPE html>"),
        (Fault(kind=FaultKind.RATE_LIMITED), 429, b'{"message"'),
    ],
)
def test_what_a_fault_answers(fault: Fault, status: int, body: bytes) -> None:
    """Each kind that replaces the answer has its own."""
    session = sandbox_session()
    session.sandbox.add_fault(fault)
    reply = session.send("GET /v1/jobs")
    assert (reply.status, reply.body[: len(body)], session.last().reason) == (status, body, AnswerReason.FAULT)


def test_headers_of_faults() -> None:
    """A redirect has its target, a 429 when to retry unless set otherwise, and the right answer a cookie."""
    session = sandbox_session()
    for fault in (
        Fault(kind=FaultKind.REDIRECT, times=1, location="http://other.example/x"),
        Fault(kind=FaultKind.RATE_LIMITED, times=1, seconds=4),
        Fault(kind=FaultKind.RATE_LIMITED, times=1, headers=False),
        Fault(kind=FaultKind.SET_COOKIE, times=1, cookie="a=b"),
    ):
        session.sandbox.add_fault(fault)
    replies = [session.send("GET /v1/jobs") for _ in range(4)]
    assert [header(each, "Location") for each in replies] == ["http://other.example/x", None, None, None]
    assert [header(each, "Retry-After") for each in replies] == [None, "4", None, None]
    assert header(replies[1], "X-RateLimit-Reset") == "1700000004"
    assert (replies[3].status, header(replies[3], "Set-Cookie"), session.last().set_cookie) == (200, "a=b", True)
