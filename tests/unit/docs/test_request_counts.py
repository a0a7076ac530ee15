"""What README and docs/for-your-customers.md tell of a check is counted at the sandbox."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import pytest
from rich.text import Text

from checks.answer import Answer, AnswerKind, reduce
from checks.asking import SendGuard
from checks.catalogue.endpoints import Entry, WriteProbes, catalogue
from checks.check_request import CheckRequest
from checks.confirmation import second_look, together
from checks.credential import CredentialKind, OAuthClient, Secret, Token
from checks.manifest import load
from checks.report import CheckReport, Outcome, WriteAlarm
from checks.v1.check import Means, check
from checks.v3 import check as harvest_oauth
from checks.v3.check import Time
from checks.v3.token_answers import AuthAnswer, AuthKind, introspected
from monitor.checking.check_document import Checked
from monitor.cli.check_output import lines
from tests.paths import ROOT
from tests.sandbox_asking import Asker, Clock, asker
from tests.sandbox_v3_asking import V3Asker, v3_asker

README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "for-your-customers.md").read_text("utf-8")
GEM = load("gem")


class Inquiry:
    """Puts the questions to a sandbox without a network between."""

    def __init__(self, customer: Asker, permitted: WriteProbes) -> None:
        self._customer = customer
        self.permitted = permitted
        self.requests = 0

    async def ask(self, entry: Entry, watch: SendGuard) -> Answer:
        self.requests += 1
        reply = self._customer.ask(f"{entry.method} {entry.target}", entry.body.decode() or None)
        headers = {name.decode().lower(): value.decode() for name, value in reply.headers}
        answer = reduce(entry, reply.status, headers, reply.body, complete=True)
        await watch.heard(entry, answer)
        return answer


class Guard:
    async def may_write(self, entry: Entry) -> bool:
        return True

    async def halt(self, alarm: WriteAlarm) -> None:
        raise AssertionError(alarm)


async def no_data() -> Answer:
    return Answer(AnswerKind.INVALID_KEY, 401)


def look(customer: Asker, question: CheckRequest, permitted: WriteProbes) -> CheckReport:
    means = Means(Guard(), no_data, lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda: 0.0, 60.0, lambda: False)
    return asyncio.run(check(Inquiry(customer, permitted), question, catalogue(), means))


def cost(grants: str, permitted: WriteProbes) -> int:
    """The requests of one look, by the sandbox's ledger."""
    customer = asker(grants)
    look(customer, CheckRequest(GEM), permitted)
    assert customer.changes() == []
    return len(customer.sandbox.request_log.entries())


@pytest.mark.parametrize("permitted", list(WriteProbes))
def test_costs_are_those_of_the_ledger(permitted: WriteProbes) -> None:
    """Both pages tell what a check of Gem's manifest costs: with a key that holds just that, and at most."""
    just_enough, most = cost("gem", permitted), cost("all", permitted)
    seconds = ceil((just_enough - 1) / 2)  # the first of them need not wait
    assert f"| `{permitted}` | {just_enough} | {most} | {seconds} s |" in README
    assert f"{just_enough} (at most {most})" in PAGE


@dataclass
class TokenInquiry:
    """As `Inquiry`, with the tokens of a v3 client; where `down`, the auth server answers introspections with 503."""

    customer: V3Asker
    down: bool = False
    requests: int = 0

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        self.requests += 1
        return AuthAnswer(AuthKind.TOLD, 200, token=Token(self.customer.mint()["access_token"]))

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        self.requests += 2 if self.down else 1  # what comes to nothing is asked once more
        reply = self.customer.post("/introspect", {"token": token.reveal()})
        return introspected(503, {}, b"") if self.down else introspected(reply.status, {}, reply.body)

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        self.requests += 1
        reply = self.customer.ask(f"{entry.method} {entry.target}", token.reveal())
        return Answer(AnswerKind.JSON if reply.status == 200 else AnswerKind.FORBIDDEN, reply.status)


def cost_on_v3(*, held: bool, down: bool = False) -> int:
    customer = v3_asker("gem", clock=Clock(0.0))
    token = Token(customer.client.issue()) if held else None
    client = OAuthClient(Secret(customer.client.client_id), Secret(customer.client.secret), token)
    time = Time(lambda: datetime(1970, 1, 1, tzinfo=UTC), lambda: 0.0, 60.0, lambda: False)
    report = asyncio.run(harvest_oauth.check(TokenInquiry(customer, down), client, CheckRequest(GEM), time))
    assert report.outcome is Outcome.COMPLIANT
    assert customer.changes() == []
    return report.requests


def test_costs_on_v3_are_as_told() -> None:
    """README and the page for customers tell what a look takes with either token, and without introspection."""
    held, minted, most = cost_on_v3(held=True), cost_on_v3(held=False), cost_on_v3(held=True, down=True)
    told = " ".join(README.split())
    assert f"takes {held} requests with a held token and {minted} with `token: mint`" in told
    assert f"up to {most}: it is asked twice, and then {most - 2} lists are" in told
    assert f"({most - 2} for Gem)" in PAGE


def test_the_result_that_readme_shows_is_what_the_sandbox_gives() -> None:
    """Whoever follows README with the sandbox's key sees the lines that README shows."""
    customer = asker("gem")
    question = CheckRequest(GEM, features=frozenset({"eeoc"}))
    first = look(customer, question, WriteProbes.SAFE)
    again = second_look(question, first)
    assert again is not None
    report = together(first, look(customer, again, WriteProbes.SAFE))

    checked = Checked("acme", "Gem Harvest API Key", CredentialKind.HARVEST_KEY, None, report)
    shown = [re.sub(r" in \d+ s", "", Text.from_markup(line).plain) for line in lines(checked)]
    block = re.findall(r"(?:^    .*\n)+", README.split("harvest-monitor check acme\n")[1], re.M)[0]
    assert shown == [re.sub(r" in \d+ s", "", line.removeprefix("    ")) for line in block.splitlines()]
