"""Causes and compositions for tests of notices."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.compose.brake import Recent
from monitor.notices.compose.grouping import Composition, compose
from monitor.notices.content.news_from_causes import Background
from monitor.notices.policy import NoticePolicy

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
SETTLE = timedelta(minutes=15)
OPERATOR = "ops@vendor.example"

_ids = count(1)


def a_policy(mode: NoticesMode = NoticesMode.CSM) -> NoticePolicy:
    return NoticePolicy(mode, SETTLE, "Harvest Monitor <monitor@vendor.example>", OPERATOR)


def a_cause(kind: EventKind, permission: str | None = None, tenant: str = "acme", **facts: Any) -> PendingCause:
    """A settled cause of a tenant whose CSM is Dana; `permission` is both its label and its id."""
    number = next(_ids)
    state = facts.get("state") or (None if permission else "invalid")
    values: dict[str, Any] = {
        "id": number,
        "event_id": number,
        "audience": Audience.CSM,
        "brake_key": f"{kind}:{permission or state}",
        "created_at": NOW - timedelta(minutes=20),
        "kind": kind,
        "tenant_id": tenant,
        "tenant_name": tenant.title(),
        "csm_name": "Dana Reyes",
        "csm_email": "dana@vendor.example",
        "removed_at": None,
        "credential_id": 1,
        "credential_label": "Gem Harvest API Key",
        "credential_kind": "harvest-key",
        "credential_grant": None,
        "permission_id": permission,
        "permission_group": "Offers" if permission else None,
        "permission_label": permission,
        "mapping": None,
        "state": state,
        "detail": "",
        "seen_before": NOW - timedelta(hours=4),
        "first_seen": NOW - timedelta(minutes=21),
        "at": NOW - timedelta(minutes=20),
    }
    return PendingCause(**values | facts)


def for_operator(kind: EventKind, permission: str | None = None, tenant: str = "acme", **facts: Any) -> PendingCause:
    return a_cause(kind, permission, tenant, **{"audience": Audience.OPERATOR} | facts)


def composed(
    *causes: PendingCause,
    mode: NoticesMode = NoticesMode.CSM,
    checked: int = 100,
    recent: Recent | None = None,
    now: datetime = NOW,
    background: Background | None = None,
) -> Composition:
    """`checked` tenants were all checked just now."""
    seen = recent or Recent(last_checked=[now] * checked)
    return compose(causes, seen, a_policy(mode), now, background or Background())
