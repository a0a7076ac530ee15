"""What README, docs/costs.md and docs/for-your-customers.md say about a check is counted at the sandbox."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import pytest
from rich.text import Text

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Entry, WriteProbes
from checks.check_request import CheckRequest
from checks.check_run import CheckContext
from checks.credential import CredentialKind, OAuthClient, Secret, Token
from checks.manifest import load
from checks.report import CheckReport, Outcome
from checks.v3.check import TokenCheckRun
from checks.v3.token_answers import AuthAnswer, AuthKind, introspected
from monitor.checking.check_document import Checked
from monitor.cli.check_output import lines
from tests.confirming import confirmed
from tests.paths import ROOT
from tests.sandbox_check import check_key
from tests.sandbox_session import Clock, sandbox_session
from tests.sandbox_v3_session import SandboxV3Session, sandbox_v3_session

README = (ROOT / "README.md").read_text("utf-8")
COSTS = (ROOT / "docs" / "costs.md").read_text("utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text("utf-8")
PAGE = (ROOT / "docs" / "for-your-customers.md").read_text("utf-8")
GEM = load("gem")


def cost(grants: str | list[str], permitted: WriteProbes, known: frozenset[str] = frozenset()) -> int:
    """The requests of one look, by the sandbox's ledger; `known` are permissions that an earlier one found granted."""
    customer = sandbox_session(grants)
    check_key(customer, CheckRequest(GEM, granted_before=known), permitted)
    assert customer.changes() == []
    return len(customer.sandbox.request_log.entries())


KNOWN = frozenset(permission.id for permission in GEM.applying_to([]))


@pytest.mark.parametrize("permitted", list(WriteProbes))
def test_costs_are_those_of_the_ledger(permitted: WriteProbes) -> None:
    """Both pages say what a check of Gem's manifest costs: with a key that has just that, and with one of nothing."""
    just_enough, first, most = cost("gem", permitted, KNOWN), cost("gem", permitted), cost([], permitted)
    assert cost("all", permitted) <= most
    seconds = ceil((just_enough - 1) / 2)  # the first of them need not wait
    assert f"| `{permitted}` | {just_enough} | {first} | {most} | {seconds} s |" in COSTS
    assert f"{just_enough}, the first time {first} (at most {most})" in PAGE


@dataclass
class TokenSender:
    """As `Sender`, with the tokens of a v3 client; where `down`, the auth server answers introspections with 503."""

    customer: SandboxV3Session
    down: bool = False
    requests: int = 0

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        self.requests += 1
        return AuthAnswer(AuthKind.JSON, 200, token=Token(self.customer.mint()["access_token"]))

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        self.requests += 2 if self.down else 1  # what comes to nothing is asked once more
        reply = self.customer.post("/introspect", {"token": token.reveal()})
        return introspected(503, {}, b"") if self.down else introspected(reply.status, {}, reply.body)

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        self.requests += 1
        reply = self.customer.send(f"{entry.method} {entry.target}", token.reveal())
        return Answer(AnswerKind.JSON if reply.status == 200 else AnswerKind.FORBIDDEN, reply.status)


def cost_on_v3(*, held: bool, down: bool = False) -> int:
    customer = sandbox_v3_session("gem", clock=Clock(0.0))
    token = Token(customer.client.issue()) if held else None
    client = OAuthClient(Secret(customer.client.client_id), Secret(customer.client.secret), token)
    context = CheckContext(lambda: datetime(1970, 1, 1, tzinfo=UTC), lambda: 0.0, 60.0, lambda: False)
    report = asyncio.run(TokenCheckRun(TokenSender(customer, down), client, CheckRequest(GEM), context).report())
    assert report.outcome is Outcome.COMPLIANT
    assert customer.changes() == []
    return report.requests


def test_costs_on_v3_are_as_told() -> None:
    """All pages say what a check takes with either token, and without introspection."""
    held, minted, most = cost_on_v3(held=True), cost_on_v3(held=False), cost_on_v3(held=True, down=True)
    told = " ".join(COSTS.split())
    assert f"takes {held} requests with a held token and {minted} with `token: mint`" in told
    assert f"up to {most}: it is asked twice, and then {most - 2} lists are" in told
    assert f"({most - 2} for Gem)" in PAGE
    assert f"with a key, and {held} on [v3]" in " ".join(README.split())


def test_readme_says_what_a_check_of_a_key_takes() -> None:
    """The least and the most of a key that has exactly what Gem needs."""
    least, most = cost("gem", WriteProbes.OFF, KNOWN), cost("gem", WriteProbes.ALL, KNOWN)
    assert f"[{least} to {most} requests](docs/costs.md) with a key" in " ".join(README.split())


def test_readme_says_what_safe_write_probes_are() -> None:
    """README and docs/deploy.md count the write probes that `safe` sends, and the writes to unused endpoints."""
    asked = [catalogue().entry(permission.endpoint) for permission in GEM.permissions if permission.endpoint]
    writes = [entry for entry in asked if entry.is_write]
    safe = [entry for entry in writes if WriteProbes.SAFE.allows(entry.needs)]
    controls = [entry for entry in catalogue().controls.values() if entry.is_write]
    assert f"`safe` sends {len(safe)} of the {len(writes)} for Gem's list" in " ".join(README.split())
    assert f"up to {len(controls)} writes to endpoints" in " ".join(README.split())
    assert f"| {len(safe)} of the {len(writes)} write probes, and up to {len(controls)} writes to" in DEPLOY
    assert f"reads only: {len(writes)} permissions of Gem's list are not checked" in DEPLOY


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_a_safe_write_probe_is_one_with_an_id(page: str) -> None:
    """What README says of each holds of each in the catalogue: id 0, `{}` or no body."""
    safe = [entry for entry in catalogue().all_entries() if entry.needs is WriteProbes.SAFE]
    assert all("/0" in entry.target and entry.body in (b"{}", b"") for entry in safe)
    assert "without the `On-Behalf-Of` header, with `{}` or no body" in " ".join(
        (ROOT / page).read_text("utf-8").split()
    )


def test_the_result_that_readme_shows_is_what_the_sandbox_gives() -> None:
    """With the sandbox's key, README's commands print the lines that README shows."""
    customer = sandbox_session("gem")
    request = CheckRequest(GEM, features=frozenset({"eeoc"}))

    def once(asked: CheckRequest) -> CheckReport:
        return check_key(customer, asked, WriteProbes.SAFE)

    report = confirmed(request, once, once)
    checked = Checked("acme", "Gem Harvest API Key", CredentialKind.HARVEST_KEY, None, report)
    shown = [re.sub(r" in \d+ s", "", Text.from_markup(line).plain) for line in lines(checked)]
    block = re.findall(r"(?:^    .*\n)+", README.split("harvest-monitor check acme\n")[1], re.M)[0]
    assert shown == [re.sub(r" in \d+ s", "", line.removeprefix("    ")) for line in block.splitlines()]
