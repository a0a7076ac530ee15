"""The outbox against a real mail server with all kinds of faults: nothing lost, nothing doubled, no server flooded."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.errors import FailureScope
from monitor.notices.delivery.backoff import BACK_OFF, CONCURRENCY, FIRST_PAUSE, LONGEST_PAUSE, MAX_DOUBTS
from monitor.notices.delivery.outbox import LONGEST_CLAIM
from monitor.notices.delivery.transport import FolderTransport
from monitor.notices.notice import Status
from monitor.store.database import Database
from tests.mail import Sink, listening, plain
from tests.notices import NOW
from tests.outbox import MINUTE, SECOND, OutboxHarness, smtp

MANY = 12
IMPATIENT = 1.0  # seconds to wait for an answer that never comes: long enough for all others on a busy machine


class FaultyServer:
    """A mail server and an outbox that sends to it. `new_harness` is like a restart of the service."""

    def __init__(self, database: Database, sink: Sink, port: int) -> None:
        self.database = database
        self.sink = sink
        self.port = port
        self.harness = self.new_harness()

    def new_harness(self, seconds: float = 5) -> OutboxHarness:
        self.harness = OutboxHarness(self.database, smtp(self.port, seconds))
        return self.harness

    async def add(self, number: int = MANY) -> None:
        for index in range(number):
            await self.harness.add(index)

    async def until_all_is_done(self, now: datetime) -> None:
        """Deliver until nothing is pending."""
        while Status.PENDING in await self.harness.statuses():
            await self.harness.deliver(now)
            now += 5 * MINUTE


@pytest.fixture
async def server(sqlite: Database) -> AsyncIterator[FaultyServer]:
    sink = Sink()
    async with listening(plain(sink)) as port:
        yield FaultyServer(sqlite, sink, port)


@pytest.fixture
async def dead_server(sqlite: Database, unused_tcp_port: int) -> FaultyServer:
    """A port at which nobody listens."""
    return FaultyServer(sqlite, Sink(), unused_tcp_port)


def once_each(sink: Sink, number: int = MANY) -> bool:
    return Counter(sink.readers) == Counter(f"reader{index}@vendor.example" for index in range(number))


async def test_a_dead_server_is_asked_by_a_few_and_then_by_one(dead_server: FaultyServer) -> None:
    """A few notices find out that nobody listens; during pauses none is tried, and after each pause a single one."""
    await dead_server.add()
    with capture_logs() as lines:
        sent, failed = await dead_server.harness.deliver()
        assert (sent, set(failed), len(failed) <= CONCURRENCY) == (0, {FailureScope.SERVER}, True)
        assert dead_server.harness.counts.paused
        now, pauses = NOW, []
        for _ in range(8):
            until = dead_server.harness.sender.server.until
            assert until is not None
            pauses.append(until - now)
            assert await dead_server.harness.deliver(until - SECOND) == (0, [])
            now = until
            assert await dead_server.harness.deliver(now) == (0, [FailureScope.SERVER])
    doublings = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(8)]
    assert pauses == doublings
    notices = await dead_server.harness.notices()
    assert {(notice.status, notice.attempts) for notice in notices} == {(Status.PENDING, 0)}
    assert {line["event"] for line in lines} == {"mail_server_paused"}
    assert [line["failures"] for line in lines] == list(range(1, 10))


async def test_a_server_that_is_back_gets_everything_once(dead_server: FaultyServer) -> None:
    """The first one after the pause succeeds, and then all the others."""
    await dead_server.add()
    await dead_server.harness.deliver()
    async with listening(plain(dead_server.sink), port=dead_server.port):
        assert await dead_server.harness.deliver(NOW + FIRST_PAUSE) == (MANY, [])
    assert once_each(dead_server.sink)
    assert not dead_server.harness.counts.paused
    assert {notice.attempts for notice in await dead_server.harness.notices()} == {1}


@pytest.mark.parametrize("answer", ["421 4.3.2 Going down", "451 4.3.0 Try later", "550 5.7.1 Sender not allowed"])
async def test_a_server_that_refuses_to_talk_is_left_alone(server: FaultyServer, answer: str) -> None:
    """A refusal before the recipient is named concerns no single email: all wait, and none is given up."""
    await server.add()
    server.sink.answers["MAIL"] = answer
    sent, failed = await server.harness.deliver()
    assert (sent, len(failed) <= CONCURRENCY, server.sink.asked) == (0, True, [])
    server.sink.answers.clear()
    await server.until_all_is_done(NOW + MINUTE)
    assert once_each(server.sink)


async def test_a_refused_reader_stops_nobody_else(server: FaultyServer) -> None:
    """5xx for one recipient: that notice has failed, with what the server said, and the others are sent."""
    await server.add()
    server.sink.refused["reader3@vendor.example"] = "550 5.1.1 <reader3@vendor.example>: no such user"
    assert await server.harness.deliver() == (MANY - 1, [FailureScope.ADDRESS])
    failed = [notice for notice in await server.harness.notices() if notice.status == Status.FAILED]
    assert [notice.recipient for notice in failed] == ["reader3@vendor.example"]
    assert failed[0].last_error == f"127.0.0.1:{server.port}: 550 5.1.1 <<address>>: no such user"
    assert not server.harness.counts.paused


async def test_greylisting_costs_a_minute(server: FaultyServer) -> None:
    """4xx for every reader at first: each is tried once and then again, and the server counts as healthy."""
    await server.add()
    server.sink.answers["RCPT"] = "450 4.2.0 Greylisted"
    assert await server.harness.deliver() == (0, [FailureScope.ADDRESS] * MANY)
    assert not server.harness.counts.paused
    server.sink.answers.clear()
    assert await server.harness.deliver(NOW + BACK_OFF[0] - SECOND) == (0, [])
    assert await server.harness.deliver(NOW + BACK_OFF[0]) == (MANY, [])
    assert once_each(server.sink)


async def test_what_was_accepted_without_an_answer_comes_again_with_its_message_id(server: FaultyServer) -> None:
    """Disconnected after DATA: sent at least once, with the same Message-ID, and the server is left alone."""
    await server.add()
    server.sink.drop_at = "TAKEN"
    _, failed = await server.harness.deliver()
    assert MAX_DOUBTS <= len(failed) < MAX_DOUBTS + CONCURRENCY
    assert server.harness.counts.paused
    server.sink.drop_at = ""
    await server.until_all_is_done(NOW + MINUTE)
    copies = Counter(message["Message-ID"] for message in server.sink.messages)
    assert len(copies) == MANY
    assert sorted(copies.values()) == [1] * (MANY - len(failed)) + [2] * len(failed)


@pytest.mark.parametrize(("way", "step"), [("drop_at", "DATA"), ("hang_at", "RCPT")])
async def test_an_email_that_silences_the_server_stops_no_other(server: FaultyServer, way: str, step: str) -> None:
    """One that makes it disconnect, or not answer, is retried by its own schedule; the others are sent."""
    await server.add()
    server.new_harness(IMPATIENT)
    server.sink.only = "reader3@vendor.example"
    setattr(server.sink, way, step)
    assert await server.harness.deliver() == (MANY - 1, [FailureScope.UNCLEAR])
    assert await server.harness.deliver(NOW + BACK_OFF[0]) == (0, [FailureScope.UNCLEAR])
    assert not server.harness.counts.paused


async def test_an_email_that_silences_the_server_is_not_the_only_one_tried_after_a_pause(server: FaultyServer) -> None:
    """It is the first to be tried after a pause, and then waits by its own schedule: the next one succeeds."""
    server.new_harness(IMPATIENT)
    await server.harness.add(3, due=NOW - MINUTE)
    server.sink.answers["MAIL"] = "421 4.3.2 Going down"
    await server.harness.deliver()
    await server.harness.add(4)
    server.sink.answers.clear()
    server.sink.only, server.sink.hang_at = "reader3@vendor.example", "RCPT"
    now = NOW + LONGEST_PAUSE
    await server.harness.deliver(now)
    await server.harness.deliver(now + LONGEST_PAUSE)
    assert server.sink.readers == ["reader4@vendor.example"]


async def test_a_folder_that_fails_is_like_a_server_that_fails(sqlite: Database, tmp_path: Path) -> None:
    """A full disk or a file in the way concerns every email: all wait, and are written once the folder works."""
    (tmp_path / "mail").write_text("in the way")
    harness = OutboxHarness(sqlite, FolderTransport(tmp_path / "mail"))
    for number in range(10):
        await harness.add(number)
    await harness.deliver()
    assert harness.counts.paused
    (tmp_path / "mail").unlink()
    assert await harness.deliver(NOW + MINUTE) == (10, [])
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 10


@pytest.mark.parametrize("seed", range(3))
async def test_under_changing_faults_every_email_arrives(server: FaultyServer, seed: int) -> None:
    """Restarts and all faults at random: in the end each is sent, and doubled only if an acceptance was lost."""
    chance = random.Random(seed)
    await server.add()
    now, lost_acceptance = NOW, False
    for _ in range(15):
        sink, step = server.sink, chance.choice(["MAIL", "RCPT", "DATA", "TAKEN"])
        sink.answers, sink.drop_at, sink.hang_at = {}, "", ""
        match chance.choice(["fine", "answer", "drop", "hang", "restart"]):
            case "answer" if step != "TAKEN":
                sink.answers[step] = chance.choice(["421 Going down", "451 Try later", "452 Full"])
            case "drop":
                sink.drop_at = step
            case "hang":
                sink.hang_at = "RCPT"
            case "restart":
                await server.harness.outbox.stop(0)
        lost_acceptance |= sink.drop_at == "TAKEN"
        await server.new_harness(IMPATIENT).deliver(now)
        now += chance.choice([SECOND, FIRST_PAUSE, MINUTE, 5 * MINUTE, LONGEST_CLAIM])
    sink.answers, sink.drop_at, sink.hang_at = {}, "", ""
    await server.until_all_is_done(now)
    assert await server.harness.statuses() == [Status.SENT] * MANY
    assert len(set(sink.readers)) == MANY
    assert lost_acceptance or once_each(sink)
