"""The outbox against a real mail server in every weather: nothing lost, nothing doubled, nobody hammered."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.errors import FailureScope
from monitor.notices.delivery.backoff import AT_ONCE, BACK_OFF, DOUBTS, FIRST_PAUSE, LONGEST_PAUSE
from monitor.notices.delivery.outbox import CLAIM
from monitor.notices.delivery.transport import FolderTransport
from monitor.notices.notice import Status
from monitor.store.database import Database
from tests.mail import Sink, listening, plain
from tests.notices import NOW
from tests.outbox import MINUTE, SECOND, Office, smtp

MANY = 12
QUICKLY = 0.3  # seconds that are waited for an answer where none will come


class Weather:
    """A mail server, and an office that writes to it. `office` may be asked for anew, as after a restart."""

    def __init__(self, database: Database, sink: Sink, port: int) -> None:
        self.database = database
        self.sink = sink
        self.port = port
        self.office = self.new_office()

    def new_office(self, seconds: float = 5) -> Office:
        self.office = Office(self.database, smtp(self.port, seconds))
        return self.office

    async def add(self, number: int = MANY) -> None:
        for index in range(number):
            await self.office.add(index)

    async def in_the_end(self, now: datetime) -> None:
        """Let it try for as long as anything is left to try."""
        while Status.PENDING in await self.office.statuses():
            await self.office.deliver(now)
            now += 5 * MINUTE


@pytest.fixture
async def weather(sqlite: Database) -> AsyncIterator[Weather]:
    sink = Sink()
    async with listening(plain(sink)) as port:
        yield Weather(sqlite, sink, port)


@pytest.fixture
async def nobody(sqlite: Database, unused_tcp_port: int) -> Weather:
    """A port at which nobody listens."""
    return Weather(sqlite, Sink(), unused_tcp_port)


def once_each(sink: Sink, number: int = MANY) -> bool:
    return Counter(sink.readers) == Counter(f"reader{index}@vendor.example" for index in range(number))


async def test_a_dead_server_is_asked_by_a_few_and_then_by_one(nobody: Weather) -> None:
    """Of many notices a handful finds out that nobody is there; in the pauses none asks, after each a single one."""
    await nobody.add()
    with capture_logs() as lines:
        sent, failed = await nobody.office.deliver()
        assert (sent, set(failed), len(failed) <= AT_ONCE) == (0, {FailureScope.SERVER}, True)
        assert nobody.office.tally.paused
        now, pauses = NOW, []
        for _ in range(8):
            until = nobody.office.courier.standing.until
            assert until is not None
            pauses.append(until - now)
            assert await nobody.office.deliver(until - SECOND) == (0, [])
            now = until
            assert await nobody.office.deliver(now) == (0, [FailureScope.SERVER])
    doublings = [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(8)]
    assert pauses == doublings
    notices = await nobody.office.notices()
    assert {(notice.status, notice.attempts) for notice in notices} == {(Status.PENDING, 0)}
    assert {line["event"] for line in lines} == {"mail_server_paused"}
    assert [line["failures"] for line in lines] == list(range(1, 10))


async def test_a_server_that_is_back_gets_everything_once(nobody: Weather) -> None:
    """The one that is asked after the pause goes through, and all the others with it."""
    await nobody.add()
    await nobody.office.deliver()
    async with listening(plain(nobody.sink), port=nobody.port):
        assert await nobody.office.deliver(NOW + FIRST_PAUSE) == (MANY, [])
    assert once_each(nobody.sink)
    assert not nobody.office.tally.paused
    assert {notice.attempts for notice in await nobody.office.notices()} == {1}


@pytest.mark.parametrize("answer", ["421 4.3.2 Going down", "451 4.3.0 Try later", "550 5.7.1 Sender not allowed"])
async def test_a_server_that_will_not_be_spoken_to_is_left_alone(weather: Weather, answer: str) -> None:
    """What is said before a reader is named is no refusal of any mail: all wait, and none is given up."""
    await weather.add()
    weather.sink.answers["MAIL"] = answer
    sent, failed = await weather.office.deliver()
    assert (sent, len(failed) <= AT_ONCE, weather.sink.asked) == (0, True, [])
    weather.sink.answers.clear()
    await weather.in_the_end(NOW + MINUTE)
    assert once_each(weather.sink)


async def test_a_refused_reader_stops_nobody_else(weather: Weather) -> None:
    """5xx for one recipient: that notice has failed, with what the server said, and the others are sent."""
    await weather.add()
    weather.sink.refused["reader3@vendor.example"] = "550 5.1.1 <reader3@vendor.example>: no such user"
    assert await weather.office.deliver() == (MANY - 1, [FailureScope.ADDRESS])
    failed = [notice for notice in await weather.office.notices() if notice.status == Status.FAILED]
    assert [notice.recipient for notice in failed] == ["reader3@vendor.example"]
    assert failed[0].last_error == f"127.0.0.1:{weather.port}: 550 5.1.1 <<address>>: no such user"
    assert not weather.office.tally.paused


async def test_greylisting_costs_a_minute(weather: Weather) -> None:
    """4xx for every reader at first: each is asked once and then again, and the server counts as well."""
    await weather.add()
    weather.sink.answers["RCPT"] = "450 4.2.0 Greylisted"
    assert await weather.office.deliver() == (0, [FailureScope.ADDRESS] * MANY)
    assert not weather.office.tally.paused
    weather.sink.answers.clear()
    assert await weather.office.deliver(NOW + BACK_OFF[0] - SECOND) == (0, [])
    assert await weather.office.deliver(NOW + BACK_OFF[0]) == (MANY, [])
    assert once_each(weather.sink)


async def test_what_was_taken_without_a_yes_comes_again_under_its_name(weather: Weather) -> None:
    """Dropped after DATA: at least once, as the same Message-ID, and the server is left alone like any that fails."""
    await weather.add()
    weather.sink.drop_at = "TAKEN"
    _, failed = await weather.office.deliver()
    assert DOUBTS <= len(failed) < DOUBTS + AT_ONCE
    assert weather.office.tally.paused
    weather.sink.drop_at = ""
    await weather.in_the_end(NOW + MINUTE)
    copies = Counter(message["Message-ID"] for message in weather.sink.messages)
    assert len(copies) == MANY
    assert sorted(copies.values()) == [1] * (MANY - len(failed)) + [2] * len(failed)


@pytest.mark.parametrize(("way", "step"), [("drop_at", "DATA"), ("hang_at", "RCPT")])
async def test_a_mail_that_the_server_falls_silent_over_stops_nobody_else(
    weather: Weather, way: str, step: str
) -> None:
    """One that makes it hang up, or say nothing, is tried by its own schedule; the others go through."""
    await weather.add()
    weather.new_office(QUICKLY)
    weather.sink.only = "reader3@vendor.example"
    setattr(weather.sink, way, step)
    assert await weather.office.deliver() == (MANY - 1, [FailureScope.UNCLEAR])
    assert await weather.office.deliver(NOW + BACK_OFF[0]) == (0, [FailureScope.UNCLEAR])
    assert not weather.office.tally.paused


async def test_a_mail_that_the_server_falls_silent_over_is_not_tried_for_ever_after_a_pause(weather: Weather) -> None:
    """It is the first to be tried after a pause, and waits by its own schedule then: the next one finds the way."""
    weather.new_office(QUICKLY)
    await weather.office.add(3, due=NOW - MINUTE)
    weather.sink.answers["MAIL"] = "421 4.3.2 Going down"
    await weather.office.deliver()
    await weather.office.add(4)
    weather.sink.answers.clear()
    weather.sink.only, weather.sink.hang_at = "reader3@vendor.example", "RCPT"
    now = NOW + LONGEST_PAUSE
    await weather.office.deliver(now)
    await weather.office.deliver(now + LONGEST_PAUSE)
    assert weather.sink.readers == ["reader4@vendor.example"]


async def test_a_folder_that_is_away_is_like_a_server_that_is(sqlite: Database, tmp_path: Path) -> None:
    """A full disk or a file in the way concerns every mail: all wait, and are there when the folder is."""
    (tmp_path / "mail").write_text("in the way")
    office = Office(sqlite, FolderTransport(tmp_path / "mail"))
    for number in range(10):
        await office.add(number)
    await office.deliver()
    assert office.tally.paused
    (tmp_path / "mail").unlink()
    assert await office.deliver(NOW + MINUTE) == (10, [])
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 10


@pytest.mark.parametrize("seed", range(3))
async def test_in_changing_weather_every_mail_arrives(weather: Weather, seed: int) -> None:
    """Restarts and all weathers at random: in the end each is sent, doubled only where the yes was lost."""
    chance = random.Random(seed)
    await weather.add()
    now, lost_its_yes = NOW, False
    for _ in range(15):
        sink, step = weather.sink, chance.choice(["MAIL", "RCPT", "DATA", "TAKEN"])
        sink.answers, sink.drop_at, sink.hang_at = {}, "", ""
        match chance.choice(["fine", "answer", "drop", "hang", "restart"]):
            case "answer" if step != "TAKEN":
                sink.answers[step] = chance.choice(["421 Going down", "451 Try later", "452 Full"])
            case "drop":
                sink.drop_at = step
            case "hang":
                sink.hang_at = "RCPT"
            case "restart":
                await weather.office.outbox.stop(0)
        lost_its_yes |= sink.drop_at == "TAKEN"
        await weather.new_office(QUICKLY).deliver(now)
        now += chance.choice([SECOND, FIRST_PAUSE, MINUTE, 5 * MINUTE, CLAIM])
    sink.answers, sink.drop_at, sink.hang_at = {}, "", ""
    await weather.in_the_end(now)
    assert await weather.office.statuses() == [Status.SENT] * MANY
    assert len(set(sink.readers)) == MANY
    assert lost_its_yes or once_each(sink)
