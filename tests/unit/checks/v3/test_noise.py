"""Answers that are false at random, in each of two checks: no scope is lost by them, and no client invalid."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from checks.answer import Answer, AnswerKind
from checks.catalogue.entry import Entry
from checks.credential import CredentialState, OAuthClient, Token
from checks.report import Verdict
from checks.v3.token_answers import AuthAnswer, AuthKind
from checks.v3.token_state import AGAINST_CLIENT
from tests.confirming import confirmed
from tests.unit.checks.v3.test_check import ANYBODYS, MINTING, READ_BEFORE, World, check, told

CHECKS = 300  # a thousand each were put to it when it was written
LIES = [
    Answer(AnswerKind.FORBIDDEN, 403),
    Answer(AnswerKind.UNAUTHORIZED, 401),
    Answer(AnswerKind.UNKNOWN_REFUSAL, 403, html=True),
    Answer(AnswerKind.SERVER_ERROR, 503),
]


@dataclass
class Noisy(World):
    """A client with all it needs, and one answer in so many that is false."""

    random: Random = field(default_factory=Random)
    share: float = 0.0

    async def mint(self, may_send: Callable[[], None]) -> AuthAnswer:
        answer = await super().mint(may_send)
        return told(self.random.choice(sorted(AGAINST_CLIENT))) if self._lies() else answer

    async def introspect(self, token: Token, may_send: Callable[[], None]) -> AuthAnswer:
        answer = await super().introspect(token, may_send)
        return told(self.random.choice(sorted(AGAINST_CLIENT))) if self._lies() else answer

    async def list(self, entry: Entry, token: Token, may_send: Callable[[], None]) -> Answer:
        answer = await super().list(entry, token, may_send)
        return self.random.choice(LIES) if self._lies() else answer

    def _lies(self) -> bool:
        return self.random.random() < self.share


@pytest.mark.parametrize("share", [0.01, 0.02, 0.05])
@pytest.mark.parametrize(
    ("client", "answer"),
    [(ANYBODYS, None), (MINTING, None), (ANYBODYS, told(AuthKind.JSON))],
    ids=["held", "minted", "without introspection"],
)
def test_a_share_of_false_answers_takes_nothing_away(
    client: OAuthClient, answer: AuthAnswer | None, share: float
) -> None:
    """Of all checks, confirmed as `check` does, none calls a scope missing or the credential invalid."""
    random = Random(f"{share}")
    for _ in range(CHECKS):
        world = Noisy(told=answer, random=random, share=share)
        report = confirmed(
            READ_BEFORE,
            lambda asked, w=world: check(w, client, asked),
            lambda _, w=world: check(w, client, READ_BEFORE),
        )
        assert not [finding for finding in report.findings if finding.verdict is Verdict.MISSING]
        assert report.state is not CredentialState.INVALID
