"""Rows and reports for tests of the store."""

from datetime import UTC, datetime
from typing import Any

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def an_action(at: datetime = T0) -> dict[str, Any]:
    return {"at": at, "who": "op", "action": "writes resume", "subject": "all", "reason": "ticket 1"}
