"""A verdict, by which numbered rule, and for which reason; docs/verdicts.md carries every rule and reason."""

from dataclasses import dataclass
from enum import Enum

from checks.report import Verdict


class Rule(Enum):
    """Base of the rules of v1 and v3: number, verdict, and the rule in one sentence."""

    def __init__(self, number: str, verdict: Verdict, sentence: str) -> None:
        self.number = number
        self.verdict = verdict
        self.sentence = sentence


class SharedRule(Rule):
    """A rule that holds for v1 and v3 alike."""

    UNCONFIRMED = ("V16", Verdict.UNDECIDED, "Seen missing in the first check, and the second check could not tell.")


GONE_RULES = frozenset({"V1", "V2", "V3", "V4", "V5", "V6", "V7", "V9", "V10", "S2", "S4", "S11"})
"""Numbers under which earlier releases decided on less evidence; stored verdicts and events may still carry them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one permission; `reason` is a key of reasons.REASONS.

    `status` is that of the answer that was judged, None where none was. `evidence` are the endpoints whose answers the
    verdict rests on beside that one, or that leave it undecided.
    """

    rule: Rule
    reason: str
    status: int | None = None
    evidence: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return self.rule.verdict
