"""One credential's requests, one after the other, as they reach a bare socket: asked for, counted, listened to."""

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
class Time:
    """A clock that only sleeping moves; `during` happens in every sleep."""

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
class Watched:
    """A guard that lets all go until it is told to stop, and an observer; `sent` counts at the server when asked."""

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
class Bench:
    server: RawServer
    sender: PacedKeySender
    guard: Watched
    time: Time

    async def send(self, entry: Entry) -> Answer | None:
        return await self.sender.send(entry, self.guard)


@asynccontextmanager
async def bench(respond: Respond) -> AsyncIterator[Bench]:
    time = Time()
    async with raw_server(respond) as server:
        guard = Watched(sent=lambda: len(server.requests))
        gate = Gate(catalogue(), origin(f"http://localhost:{server.port}"), "harvest-monitor/test")
        client = KeyClient(gate, ConnectionSettings(), lambda: datetime(2026, 6, 1, tzinfo=UTC))
        async with client.session() as session:
            own, total = RateLimiter(0, time.read, time.sleep), RateLimiter(0, time.read, time.sleep)
            sender = PacedKeySender(session, SECRET, RequestPacing(own, total, guard), WriteProbes.ALL)
            yield Bench(server, sender, guard, time)


def in_turn(*responses: bytes) -> Respond:
    """The responses one after the other, and the last one from then on."""

    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(responses[min(number, len(responses) - 1)])
        await writer.drain()

    return respond


@pytest.mark.parametrize("entry", [WRITE, LIST])
async def test_the_watch_is_asked_before_every_single_send(entry: Entry) -> None:
    """Each repeat after a 429 is asked for anew, before it leaves and after what went before it."""
    async with bench(always(LIMITED)) as it:
        found = await it.send(entry)
    assert found is not None
    assert found.kind is AnswerKind.RATE_LIMITED
    assert it.guard.asked_before == [0, 1, 2] == list(range(TRIES_WHEN_LIMITED))
    assert len(it.server.requests) == 3


async def test_a_halt_set_while_a_write_backs_off_stops_its_repeat() -> None:
    """What stops in another check while this one waits out a 429 is heeded: no answer, and no second send."""
    async with bench(in_turn(LIMITED, CREATED)) as it:
        it.time.during = lambda: setattr(it.guard, "stopped", True)
        assert await it.send(WRITE) is None
    assert it.time.slept == [7.0]
    assert len(it.server.requests) == it.sender.requests == 1
    assert [found.kind for found in it.guard.answers] == [AnswerKind.RATE_LIMITED]


@pytest.mark.parametrize("entry", [WRITE, LIST])
async def test_what_may_not_go_is_not_sent_at_all(entry: Entry) -> None:
    """With a stop that stood before, nothing leaves and nothing is counted."""
    async with bench(always(CREATED)) as it:
        it.guard.stopped = True
        assert await it.send(entry) is None
    assert (it.server.requests, it.sender.requests, it.guard.answers) == ([], 0, [])


async def test_every_answer_is_told() -> None:
    """Also that of a GET, which no halt keeps back."""
    async with bench(always(answer("200 OK"))) as it:
        found = await it.send(LIST)
    assert found is not None
    assert (found.kind, it.guard.asked_before, it.guard.answers) == (AnswerKind.JSON, [0], [found])


def slowly(response: bytes, arrived: asyncio.Event, go_on: asyncio.Event) -> Respond:
    async def respond(number: int, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await go_on.wait()
        writer.write(response)
        await writer.drain()

    return respond


async def test_a_write_on_the_wire_is_listened_to_although_its_check_is_cancelled() -> None:
    """The 201 that comes after the cancellation is told to the watch, and only then does the check end."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with bench(slowly(CREATED, arrived, go_on)) as it:
        check = asyncio.create_task(it.send(WRITE))
        await arrived.wait()
        check.cancel()
        done, _ = await asyncio.wait([check], timeout=0.05)
        assert not done, "the check did not wait for the answer"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await check
    assert [(found.status, found.accepted, found.record_id) for found in it.guard.answers] == [(201, True, "7")]
    assert it.sender.requests == it.guard.counted == 1


async def test_a_deadline_that_falls_into_a_write_hears_its_answer_first() -> None:
    """asyncio.timeout, which cuts a check short, cancels in the same way: the answer is told before it is over."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with bench(slowly(CREATED, arrived, go_on)) as it:
        asyncio.get_running_loop().call_later(1.5, go_on.set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await it.send(WRITE)
        assert arrived.is_set()
        assert [found.status for found in it.guard.answers] == [201]


# What came first, and how many times a GET is then sent; a write is sent once whatever comes.
REPEATED = [
    (answer("200 OK"), 1),
    (FORBIDDEN, 1),
    (answer("404 Not Found", b'{"message":"Resource not found"}'), 1),
    (answer("302 Found", b"", "Location: https://elsewhere.example/"), 1),
    (BROKEN, 2),  # a server error
    (answer("200 OK", b"<html>", kind="text/html"), 2),  # no JSON
]


@pytest.mark.parametrize(("first", "sent"), REPEATED)
async def test_a_get_is_sent_again_once_and_only_where_there_was_no_answer(first: bytes, sent: int) -> None:
    """A repeat is for what is no answer; a refusal, data or a redirect is one. The repeat's answer is what counts."""
    async with bench(in_turn(first, answer("200 OK"))) as it:
        found = await it.send(LIST)
    assert len(it.server.requests) == it.sender.requests == it.guard.counted == len(it.guard.answers) == sent
    assert found == it.guard.answers[-1]


@pytest.mark.parametrize("first", [first for first, _ in REPEATED])
async def test_a_write_is_never_repeated_for_want_of_an_answer(first: bytes) -> None:
    """Only a 429 says that a write was not looked at; after anything else it is not sent again."""
    async with bench(in_turn(first, answer("200 OK"))) as it:
        await it.send(WRITE)
    assert len(it.server.requests) == it.sender.requests == 1


@pytest.mark.parametrize("entry", [LIST, WRITE], ids=["read", "write"])
async def test_a_429_is_waited_out_and_every_try_is_counted(entry: Entry) -> None:
    """Two refusals by the limit, then the answer: three requests on the wire, three counted, two waits as told."""
    async with bench(in_turn(LIMITED, LIMITED, FORBIDDEN)) as it:
        found = await it.send(entry)
    assert found is not None
    assert found.kind is AnswerKind.PERMISSION
    assert len(it.server.requests) == it.sender.requests == it.guard.counted == 3
    assert it.time.slept == [7.0, 7.0]
    assert it.guard.waits == [("rate_limited", 7.0)] * 2


async def test_a_server_that_never_recovers_gets_two_gets_and_no_more() -> None:
    """The one repeat is not repeated, and the failure is the answer."""
    async with bench(always(BROKEN)) as it:
        found = await it.send(LIST)
    assert found is not None
    assert (found.kind, len(it.server.requests)) == (AnswerKind.SERVER_ERROR, 2)


async def test_two_askers_of_one_key_take_turns() -> None:
    """Requests of one credential never overlap: the second leaves when the first has been answered."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with bench(slowly(answer("200 OK"), arrived, go_on)) as it:
        askers = [asyncio.create_task(it.send(LIST)) for _ in range(2)]
        await arrived.wait()
        await asyncio.sleep(0.05)
        assert len(it.server.requests) == 1
        go_on.set()
        await asyncio.gather(*askers)
    assert len(it.server.requests) == 2
