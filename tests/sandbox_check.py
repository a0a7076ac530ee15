"""The real check of a key at a sandbox, without a network between."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.report import CheckReport, WriteAlarm
from checks.v1.check import KeyCheckRun, SendGuard
from checks.v1.key_answers import reduce
from tests.sandbox_session import SandboxSession

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class SandboxSender:
    customer: SandboxSession
    permitted: WriteProbes
    requests: int = 0

    async def send(self, entry: Entry, guard: SendGuard) -> Answer | None:
        if not await guard.may_send(entry):
            return None
        self.requests += 1
        reply = self.customer.send(f"{entry.method} {entry.target}", entry.body.decode() or None)
        headers = {name.decode().lower(): value.decode() for name, value in reply.headers}
        answer = reduce(entry, reply.status, headers, reply.body, complete=True)
        await guard.answered(entry, answer)
        return answer


class Writes:
    """Lets writes go until one is accepted."""

    halted = False

    async def may_write(self, entry: Entry) -> bool:
        return not self.halted

    async def halt(self, alarm: WriteAlarm) -> None:
        self.halted = True


async def known_401() -> Answer:
    return Answer(AnswerKind.INVALID_KEY, 401)


def check_key(customer: SandboxSession, request: CheckRequest, permitted: WriteProbes) -> CheckReport:
    context = CheckContext(lambda: NOW, lambda: 0.0, 60.0, lambda: False)
    sender = SandboxSender(customer, permitted)
    return asyncio.run(KeyCheckRun(sender, request, catalogue(), Writes(), known_401, context).report())
