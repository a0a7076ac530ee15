"""The full table of requests of one check, and what Greenhouse's imitation answers to each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.manifest import load
from checks.report import Outcome, WriteAlarm
from checks.v1.check import KeyCheckRun, SendGuard
from checks.v1.key_answers import reduce
from monitor.clock import elapsed, utc_now
from tests.sandbox_session import SandboxSession, sandbox_session


class Exchange(NamedTuple):
    """One request of the table, and status and body of its answer."""

    entry: Entry
    status: int
    body: bytes


GEM = load("gem")


async def full_table() -> Sequence[Exchange]:
    """In the order of a check with every write probe, of a key that holds just what Gem's manifest asks for."""
    return await _table(CheckRequest(GEM, granted_before=frozenset(permission.id for permission in GEM.permissions)))


async def first_table() -> Sequence[Exchange]:
    """Of the first check of such a key, in which what is inferred is asked for more than once."""
    return await _table(CheckRequest(GEM))


async def _table(request: CheckRequest) -> Sequence[Exchange]:
    sender = _InProcess(sandbox_session("gem"))
    context = CheckContext(now=utc_now, clock=elapsed, deadline_seconds=60, stop=lambda: False)
    run = KeyCheckRun(sender, request, catalogue(), _Writes(), _nobody, context)
    assert (await run.report()).outcome is Outcome.COMPLIANT
    return sender.exchanges


@dataclass
class _InProcess:
    """Sends the requests to a sandbox without a network, and keeps the answers."""

    session: SandboxSession
    exchanges: list[Exchange] = field(default_factory=list)
    permitted: WriteProbes = WriteProbes.ALL
    requests: int = 0

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        reply = self.session.send(f"{entry.method} {entry.target}", entry.body.decode() or None)
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
