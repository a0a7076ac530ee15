"""What README and docs/for-your-customers.md tell of a check is counted at the sandbox."""

import asyncio
import re
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import pytest
from rich.text import Text

from checks.answer import Answer, AnswerKind, reduce
from checks.asking import Watch
from checks.catalogue import Entry, WriteProbes, catalogue
from checks.confirmation import second_look, together
from checks.credential import CredentialKind
from checks.harvest_key import Means, check
from checks.manifest import load
from checks.question import Question
from checks.report import CheckReport, WriteAlarm
from monitor.check_document import Checked
from monitor.cli.check_view import lines
from tests.sandbox_asking import Asker, asker

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "for-your-customers.md").read_text("utf-8")
GEM = load("gem")


class Inquiry:
    """Puts the questions to a sandbox without a network between."""

    def __init__(self, customer: Asker, permitted: WriteProbes) -> None:
        self._customer = customer
        self.permitted = permitted
        self.requests = 0

    async def ask(self, entry: Entry, watch: Watch) -> Answer:
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


def look(customer: Asker, question: Question, permitted: WriteProbes) -> CheckReport:
    means = Means(Guard(), no_data, lambda: datetime(2026, 11, 23, tzinfo=UTC), lambda: 0.0, 60.0, lambda: False)
    return asyncio.run(check(Inquiry(customer, permitted), question, catalogue(), means))


def cost(grants: str, permitted: WriteProbes) -> int:
    """The requests of one look, by the sandbox's ledger."""
    customer = asker(grants)
    look(customer, Question(GEM), permitted)
    assert customer.changes() == []
    return len(customer.sandbox.ledger.entries())


@pytest.mark.parametrize("permitted", list(WriteProbes))
def test_costs_are_those_of_the_ledger(permitted: WriteProbes) -> None:
    """Both pages tell what a check of Gem's manifest costs: with a key that holds just that, and at most."""
    just_enough, most = cost("gem", permitted), cost("all", permitted)
    seconds = ceil((just_enough - 1) / 2)  # the first of them need not wait
    assert f"| `{permitted}` | {just_enough} | {most} | {seconds} s |" in README
    assert f"{just_enough} (at most {most})" in PAGE


def test_the_result_that_readme_shows_is_what_the_sandbox_gives() -> None:
    """Whoever follows README with the sandbox's key sees the lines that README shows."""
    customer = asker("gem")
    question = Question(GEM, features=frozenset({"eeoc"}))
    first = look(customer, question, WriteProbes.SAFE)
    again = second_look(question, first)
    assert again is not None
    report = together(first, look(customer, again, WriteProbes.SAFE))

    checked = Checked("acme", "Gem Harvest API Key", CredentialKind.HARVEST_KEY, None, report)
    shown = [re.sub(r" in \d+ s", "", Text.from_markup(line).plain) for line in lines(checked)]
    block = re.findall(r"(?:^    .*\n)+", README.split("harvest-monitor check acme\n")[1], re.M)[0]
    assert shown == [re.sub(r" in \d+ s", "", line.removeprefix("    ")) for line in block.splitlines()]
