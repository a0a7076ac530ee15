"""The sandbox's request log: exact, bounded, and without a secret."""

from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.sandbox import Sandbox
from tests.sandbox_session import UNLIMITED, Clock, header, sandbox_session


def test_an_entry_says_what_was_sent_and_no_secret() -> None:
    """Of headers that may hold secrets only their presence is kept, of bodies the length, of the key its label."""
    session = sandbox_session(clock=Clock(1_700_000_000.0))
    sent = {"on-behalf-of": "9182736455", "cookie": "secret-cookie=1", "host": "example", "user-agent": "test/1"}
    session.send("POST /v1/departments?x=1", {"name": "secret-name"}, sent)
    entry = session.last()
    assert (entry.number, entry.at, entry.account, entry.key) == (1, 1_700_000_000.0, "acme", "Harvest API Key")
    assert (entry.method, entry.target) == ("POST", "/v1/departments?x=1")
    assert (entry.host, entry.user_agent, entry.authorization) == ("example", "test/1", "basic")
    assert (entry.on_behalf_of, entry.cookie, entry.set_cookie) == (True, True, False)
    assert (entry.body_length, entry.status, entry.reason) == (23, 404, AnswerReason.UNKNOWN_USER)
    for secret in ("9182736455", "secret-cookie", "secret-name", session.key.text):
        assert secret not in repr(entry)


def test_it_counts_what_it_drops() -> None:
    """Entries and changes are bounded; their counts are exact nevertheless."""
    sandbox = Sandbox(clock=Clock(), request_log_size=10)
    sandbox.add_account("acme", limit=UNLIMITED, on_behalf_of="off")
    key = sandbox.add_key("acme")
    for number in range(25):
        headers = {"authorization": basic(key.text)} if number % 5 else {}
        sandbox.handle(SandboxRequest("POST", "/v1/prospects", headers, b'{"first_name":"a","last_name":"b"}'))
    log = sandbox.request_log
    assert (log.request_count, log.forgotten, log.change_count) == (25, 15, 20)
    assert [entry.number for entry in log.entries()] == list(range(16, 26))
    assert len(log.changes()) == 10
    assert log.by_account == {"acme": 20, None: 5}
    assert log.by_status == {201: 20, 401: 5}
    assert [entry.number for entry in log.entries("acme", after=22)] == [23, 24, 25]


def test_reset_empties_it() -> None:
    """After a reset nothing is counted and no fault is active; keys and settings stay."""
    session = sandbox_session("gem", denial_status=401)
    session.sandbox.add_fault(Fault(kind=FaultKind.HTML))
    session.send("GET /v1/jobs")
    session.sandbox.reset()
    assert session.sandbox.request_log.request_count == 0
    assert session.send("GET /v1/eeoc").status == 401
    assert session.last().number == 1


def test_every_answer_has_the_number_of_its_entry() -> None:
    """X-Request-Id leads from an answer to its entry, and is never the same again, not even after a reset."""
    session = sandbox_session()
    ids = []
    for line in ("GET /v1/jobs", "GET /v1/jobs/0", "PUT /nowhere"):
        ids.append(header(session.send(line), "X-Request-Id"))
    session.sandbox.reset()
    ids.append(header(session.send("GET /v1/jobs"), "X-Request-Id"))
    assert [(id_ or "").rpartition("-")[0] for id_ in ids] == ["sandbox-1", "sandbox-2", "sandbox-3", "sandbox-1"]
    assert len(set(ids)) == len(ids)
