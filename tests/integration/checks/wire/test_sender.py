"""One credential's requests as a bare socket receives them: one at a time, guarded, counted, and always answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, RequestClass, WriteProbes
from checks.credential import Secret
from checks.origin import origin
from checks.v1.gate import Gate
from checks.wire.connection import ConnectionSettings
from checks.wire.key_client import KeyClient
from checks.wire.key_sender import PacedKeySender
from checks.wire.rate_limit import RateLimiter
from checks.wire.request_pacing import TRIES_WHEN_LIMITED, RequestPacing
from tests.raw_server import RawServer, Respond, always, answer, raw_server

SECRET = Secret("5dc54b4a7cdb4e1a9d7b-1")
ENTRIES = catalogue().all_entries()
LIST = next(e for e in ENTRIES if e.request_class is RequestClass.LIST)
WRITE = next(e for e in ENTRIES if e.is_write)
LIMITED = answer("429 Too Many Requests", b"", "Retry-After: 7")
FORBIDDEN = answer("403 Forbidden", b'{"message":"This API Key does not have permission for this endpoint"}')
CREATED = answer("201 Created", b'{"id": 7}')
BROKEN = answer("503 Service Unavailable", b"")


@dataclass
class FakeClock:
    """A clock that only sleeping moves; `during` is called in every sleep."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.during()


@dataclass
class RecordingGuard:
    """A guard that allows everything until `stopped`, and an observer; `sent` counts the requests at the server."""

    sent: Callable[[], int] = lambda: 0
    stopped: bool = False
    asked_before: list[int] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    counted: int = 0
    waits: list[tuple[str, float]] = field(default_factory=list)

    async def may_send(self, entry: Entry) -> bool:
        self.asked_before.append(self.sent())
        return not self.stopped

    async def answered(self, entry: Entry, answer: Answer) -> None:
        self.answers.append(answer)

    def request(self, entry: Entry, answer: Answer) -> None:
        self.counted += 1

    def waited(self, reason: str, seconds: float) -> None:
        self.waits.append((reason, seconds))


@dataclass
class SenderHarness:
    server: RawServer
    sender: PacedKeySender
    guard: RecordingGuard
    time: FakeClock

    async def send(self, entry: Entry) -> Answer | None:
        return await self.sender.send(entry, self.guard)


@asynccontextmanager
async def sender_harness(respond: Respond) -> AsyncIterator[SenderHarness]:
    time = FakeClock()
    async with raw_server(respond) as server:
        guard = RecordingGuard(sent=lambda: len(server.requests))
        gate = Gate(catalogue(), origin(f"http://localhost:{server.port}"), "harvest-monitor/test")
        client = KeyClient(gate, ConnectionSettings(), lambda: datetime(2026, 6, 1, tzinfo=UTC))
        async with client.session() as session:
            own, total = RateLimiter(0, time.read, time.sleep), RateLimiter(0, time.read, time.sleep)
            sender = PacedKeySender(session, SECRET, RequestPacing(own, total, guard), WriteProbes.ALL)
            yield SenderHarness(server, sender, guard, time)


def in_turn(*responses: bytes) -> Respond:
    """The responses one after the other, then always the last one."""

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(responses[min(number, len(responses) - 1)])
        await writer.drain()

    return respond


@pytest.mark.parametrize("entry", [WRITE, LIST])
async def test_the_guard_is_asked_before_every_single_request(entry: Entry) -> None:
    """Each repeat after a 429 is asked for again, before it is sent and after the one before it."""
    async with sender_harness(always(LIMITED)) as harness:
        found = await harness.send(entry)
    assert found is not None
    assert found.kind is AnswerKind.RATE_LIMITED
    assert harness.guard.asked_before == [0, 1, 2] == list(range(TRIES_WHEN_LIMITED))
    assert len(harness.server.requests) == 3


async def test_a_halt_set_while_a_write_backs_off_stops_its_repeat() -> None:
    """A halt by another check while this one waits after a 429 is obeyed: no answer, and no second request."""
    async with sender_harness(in_turn(LIMITED, CREATED)) as harness:
        harness.time.during = lambda: setattr(harness.guard, "stopped", True)
        assert await harness.send(WRITE) is None
    assert harness.time.slept == [7.0]
    assert len(harness.server.requests) == harness.sender.requests == 1
    assert [found.kind for found in harness.guard.answers] == [AnswerKind.RATE_LIMITED]


@pytest.mark.parametrize("entry", [WRITE, LIST])
async def test_a_forbidden_request_is_not_sent(entry: Entry) -> None:
    """With a halt in force nothing is sent and nothing is counted."""
    async with sender_harness(always(CREATED)) as harness:
        harness.guard.stopped = True
        assert await harness.send(entry) is None
    assert (harness.server.requests, harness.sender.requests, harness.guard.answers) == ([], 0, [])


async def test_the_guard_gets_every_answer() -> None:
    """Also that of a GET, which no halt stops."""
    async with sender_harness(always(answer("200 OK"))) as harness:
        found = await harness.send(LIST)
    assert found is not None
    assert (found.kind, harness.guard.asked_before, harness.guard.answers) == (AnswerKind.JSON, [0], [found])


def slowly(response: bytes, arrived: asyncio.Event, go_on: asyncio.Event) -> Respond:
    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await go_on.wait()
        writer.write(response)
        await writer.drain()

    return respond


async def test_the_answer_to_a_write_is_seen_even_if_its_check_is_cancelled() -> None:
    """The guard gets the 201 that comes after the cancellation, and only then the check ends."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with sender_harness(slowly(CREATED, arrived, go_on)) as harness:
        check = asyncio.create_task(harness.send(WRITE))
        await arrived.wait()
        check.cancel()
        done, _ = await asyncio.wait([check], timeout=0.05)
        assert not done, "the check did not wait for the answer"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await check
    assert [(found.status, found.accepted, found.record_id) for found in harness.guard.answers] == [(201, True, "7")]
    assert harness.sender.requests == harness.guard.counted == 1


async def test_a_deadline_during_a_write_waits_for_its_answer() -> None:
    """asyncio.timeout, which cuts a check short, cancels in the same way: the guard gets the answer first."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with sender_harness(slowly(CREATED, arrived, go_on)) as harness:
        asyncio.get_running_loop().call_later(1.5, go_on.set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await harness.send(WRITE)
        assert arrived.is_set()
        assert [found.status for found in harness.guard.answers] == [201]


# The first answer, and how many times a GET is then sent; a write is always sent once.
REPEATED = [
    (answer("200 OK"), 1),
    (FORBIDDEN, 1),
    (answer("404 Not Found", b'{"message":"Resource not found"}'), 1),
    (answer("302 Found", b"", "Location: https://elsewhere.example/"), 1),
    (BROKEN, 2),  # a server error
    (answer("200 OK", b"<html>", kind="text/html"), 2),  # no JSON
]


@pytest.mark.parametrize(("first", "sent"), REPEATED)
async def test_a_get_is_repeated_once_and_only_without_a_usable_answer(first: bytes, sent: int) -> None:
    """A refusal, data or a redirect is an answer. The repeat's answer is the one that counts."""
    async with sender_harness(in_turn(first, answer("200 OK"))) as harness:
        found = await harness.send(LIST)
    assert (
        len(harness.server.requests)
        == harness.sender.requests
        == harness.guard.counted
        == len(harness.guard.answers)
        == sent
    )
    assert found == harness.guard.answers[-1]


@pytest.mark.parametrize("first", [first for first, _ in REPEATED])
async def test_a_write_without_an_answer_is_never_repeated(first: bytes) -> None:
    """Only a 429 says that a write was not processed; after anything else it is not sent again."""
    async with sender_harness(in_turn(first, answer("200 OK"))) as harness:
        await harness.send(WRITE)
    assert len(harness.server.requests) == harness.sender.requests == 1


@pytest.mark.parametrize("entry", [LIST, WRITE], ids=["read", "write"])
async def test_after_a_429_the_sender_waits_and_every_try_is_counted(entry: Entry) -> None:
    """Two 429, then the answer: three requests sent, three counted, two waits as Retry-After says."""
    async with sender_harness(in_turn(LIMITED, LIMITED, FORBIDDEN)) as harness:
        found = await harness.send(entry)
    assert found is not None
    assert found.kind is AnswerKind.PERMISSION
    assert len(harness.server.requests) == harness.sender.requests == harness.guard.counted == 3
    assert harness.time.slept == [7.0, 7.0]
    assert harness.guard.waits == [("rate_limited", 7.0)] * 2


async def test_a_failing_server_gets_two_gets_and_no_more() -> None:
    """The repeat is not repeated, and the failure is the answer."""
    async with sender_harness(always(BROKEN)) as harness:
        found = await harness.send(LIST)
    assert found is not None
    assert (found.kind, len(harness.server.requests)) == (AnswerKind.SERVER_ERROR, 2)


async def test_requests_of_one_key_never_overlap() -> None:
    """The second is sent when the first has been answered."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with sender_harness(slowly(answer("200 OK"), arrived, go_on)) as harness:
        sending = [asyncio.create_task(harness.send(LIST)) for _ in range(2)]
        await arrived.wait()
        await asyncio.sleep(0.05)
        assert len(harness.server.requests) == 1
        go_on.set()
        await asyncio.gather(*sending)
    assert len(harness.server.requests) == 2
