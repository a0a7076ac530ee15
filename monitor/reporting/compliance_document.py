"""Compliance reports as data: JSON documents, and rows of CSV. Lengths of time are whole seconds. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from monitor.reporting.compliance import (
    Covered,
    Loss,
    LossFigures,
    Report,
    Spread,
    TenantCompliance,
    TenantReport,
    Times,
)

TENANT_COLUMNS = (
    "period",
    "from",
    "to",
    "tenant",
    "name",
    "share",
    *(f"{field.name}_seconds" for field in fields(Times)),
    "permissions_lost",
    "credential_failures",
    "lacking_at_first_sight",
    "to_detect_seconds_at_most_mean",
    "to_detect_seconds_at_most_longest",
    "repaired",
    "to_repair_seconds_mean",
    "to_repair_seconds_longest",
    "open_at_end",
    "declined_now",
)
LOSS_COLUMNS = (
    "tenant",
    "kind",
    "credential",
    "group",
    "permission",
    "state",
    "seen_before",
    "first_seen",
    "confirmed",
    "ended",
    "ending",
    "seconds",
)


def tenant_rows(report: Report) -> Iterator[Sequence[object]]:
    """Rows of TENANT_COLUMNS, the least share first."""
    covered = report.covered
    for tenant in report.tenants:
        figures = tenant.figures
        yield (
            covered.period.name,
            covered.span.begin,
            covered.span.end,
            tenant.id,
            tenant.name,
            _share(tenant.times),
            *(_seconds(getattr(tenant.times, field.name)) for field in fields(Times)),
            figures.permissions,
            figures.credentials,
            figures.found,
            *_both(figures.detected),
            figures.restored.number,
            *_both(figures.restored),
            figures.still_open.number,
            len(tenant.declined),
        )


def loss_rows(report: TenantReport) -> Iterator[Sequence[object]]:
    """Rows of LOSS_COLUMNS, in the order of time."""
    for loss in report.losses:
        yield (report.tenant.id, *_loss(loss, report.covered.span.end).values())


def report_document(report: Report) -> dict[str, Any]:
    return {
        **_about(report.covered),
        "tenants_in_report": len(report.tenants),
        "tenants_with_share": report.counting,
        "tenants_that_lacked_nothing": report.complete,
        "tenants_that_lost_something": report.losing,
        **_amounts(report.times, report.figures),
        "tenants": [_tenant(tenant) for tenant in report.tenants],
    }


def tenant_document(report: TenantReport) -> dict[str, Any]:
    end = report.covered.span.end
    return {
        **_about(report.covered),
        **_tenant(report.tenant),
        "declined_permissions": [
            {"permission": name, "since": entry.since and entry.since.isoformat(), "reference": entry.reference}
            for name, entry in report.tenant.declined.items()
        ],
        "loss_list": [_loss(loss, end) for loss in report.losses],
    }


def _about(covered: Covered) -> dict[str, Any]:
    return {
        "period": covered.period.name,
        "from": covered.span.begin,
        "to": covered.span.end,
        "statuses_recorded_since": covered.recorded_since,
        "as_of": covered.as_of,
    }


def _tenant(tenant: TenantCompliance) -> dict[str, Any]:
    about = {"tenant": tenant.id, "name": tenant.name, "declined_now": len(tenant.declined)}
    return {**about, **_amounts(tenant.times, tenant.figures)}


def _amounts(times: Times, figures: LossFigures) -> dict[str, Any]:
    return {
        "share": _share(times),
        "seconds": {field.name: _seconds(getattr(times, field.name)) for field in fields(Times)},
        "losses": {
            "open_at_begin": figures.before,
            "permissions": figures.permissions,
            "credentials": figures.credentials,
            "lacking_at_first_sight": figures.found,
            "ended_otherwise": figures.ended_otherwise,
        },
        "to_detect_at_most": _spread(figures.detected),
        "repaired": _spread(figures.restored),
        "open_at_end": _spread(figures.still_open),
    }


def _loss(loss: Loss, end: datetime) -> dict[str, Any]:
    begun = loss.begun
    return {
        "kind": begun.kind,
        "credential": begun.credential_label,
        "group": begun.permission_group,
        "permission": begun.permission_label,
        "state": begun.state,
        "seen_before": begun.seen_before,
        "first_seen": begun.first_seen,
        "confirmed": begun.at,
        "ended": loss.ended_at,
        "ending": loss.ending.value,
        "seconds": _seconds(loss.lasted(end)),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    mean, longest = _both(spread)
    return {"number": spread.number, "mean_seconds": mean, "longest_seconds": longest}


def _both(spread: Spread) -> tuple[int | None, int | None]:
    """The mean and the longest."""
    if spread.mean is None:
        return None, None
    return _seconds(spread.mean), _seconds(spread.longest)


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())


def _share(times: Times) -> float | None:
    """Rounded down, so that only all of it is 1."""
    return None if times.share is None else int(times.share * 1e6) / 1e6
