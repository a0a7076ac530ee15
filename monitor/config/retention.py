"""How long data is kept: pure. docs/database.md describes the rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from monitor.config.settings import Settings

REMEMBERED_FOR = timedelta(days=30)
"""How long a refusal counts as the control that proves a repair."""

SWEEPS_FOR = timedelta(days=366)


class KeepRule(StrEnum):
    """What expires: checks are rolled up by day, notices lose their text, the rest is deleted."""

    CHECKS = "checks"
    NOTICE_TEXTS = "notice_texts"
    REFUSALS = "refusals"
    SWEEPS = "sweeps"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long the operator keeps each check, the text of each sent notice, and history (None: forever)."""

    checks: timedelta
    notice_texts: timedelta
    history: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Keep":
        return cls(settings.keep_checks, settings.keep_notice_texts, settings.keep_history)

    def before(self, now: datetime) -> Mapping[KeepRule, datetime]:
        """For each rule in force, the moment (UTC) before which data has expired; checks expire by whole days."""
        history = {} if self.history is None else {KeepRule.HISTORY: now - self.history}
        return {
            KeepRule.CHECKS: datetime.combine((now - self.checks).date(), time(), now.tzinfo),
            KeepRule.NOTICE_TEXTS: now - self.notice_texts,
            KeepRule.REFUSALS: now - REMEMBERED_FOR,
            KeepRule.SWEEPS: now - SWEEPS_FOR,
            **history,
        }
