"""How long what is kept: pure. docs/database.md has the rules in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from monitor.config.settings import Settings

REMEMBERED_FOR = timedelta(days=30)
"""How long a refusal counts as the control that proves a repair."""

SWEEPS_FOR = timedelta(days=366)


class KeepRule(StrEnum):
    """What grows old: checks are rolled up by day, notices lose their text, the others are deleted."""

    CHECKS = "checks"
    NOTICE_TEXTS = "notice_texts"
    REFUSALS = "refusals"
    SWEEPS = "sweeps"


@dataclass(frozen=True, slots=True)
class Keep:
    """What the operator decided on: how long each check, and each sent notice's text, is kept."""

    checks: timedelta
    notice_texts: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Keep":
        return cls(checks=settings.keep_checks, notice_texts=settings.keep_notice_texts)

    def before(self, now: datetime) -> Mapping[KeepRule, datetime]:
        """The moment (UTC) before which each is old; checks grow old by whole days."""
        return {
            KeepRule.CHECKS: datetime.combine((now - self.checks).date(), time(), now.tzinfo),
            KeepRule.NOTICE_TEXTS: now - self.notice_texts,
            KeepRule.REFUSALS: now - REMEMBERED_FOR,
            KeepRule.SWEEPS: now - SWEEPS_FOR,
        }
