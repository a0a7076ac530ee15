"""The full table of requests of one check, with the sandbox's answer to each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from checks.answer import Answer, AnswerKind, reduce
from checks.asking import SendGuard
from checks.catalogue.endpoints import Entry, WriteProbes, catalogue
from checks.check_request import CheckRequest
from checks.manifest import load
from checks.report import Outcome, WriteAlarm
from checks.v1.check import Means, check
from monitor.clock import elapsed, utc_now
from tests.sandbox_asking import Asker, asker


class Exchange(NamedTuple):
    """One request of the table, with status and body of its answer."""

    entry: Entry
    status: int
    body: bytes


async def full_table() -> Sequence[Exchange]:
    """In the order of a check with every write probe, for a key with exactly the permissions of Gem's manifest."""
    inquiry = _InProcess(asker("gem"))
    means = Means(
        guard=_Writes(),
        anonymous=_nobody,
        now=utc_now,
        clock=elapsed,
        deadline_seconds=60,
        stop=lambda: False,
    )
    report = await check(inquiry, CheckRequest(load("gem")), catalogue(), means)
    assert report.outcome is Outcome.COMPLIANT
    return inquiry.exchanges


@dataclass
class _InProcess:
    """Sends requests to a sandbox without a network, and keeps the answers."""

    asker: Asker
    exchanges: list[Exchange] = field(default_factory=list)
    permitted: WriteProbes = WriteProbes.ALL
    requests: int = 0

    async def ask(self, entry: Entry, watch: SendGuard) -> Answer | None:
        reply = self.asker.ask(f"{entry.method} {entry.target}", entry.body.decode() or None)
        self.exchanges.append(Exchange(entry, reply.status, reply.body))
        self.requests += 1
        return reduce(entry, reply.status, {"content-type": reply.content_type.decode()}, reply.body)


class _Writes:
    async def may_write(self, entry: Entry) -> bool:
        return True

    async def halt(self, alarm: WriteAlarm) -> None:
        raise AssertionError(alarm)


async def _nobody() -> Answer:
    return Answer(AnswerKind.NO_CONNECTION)
