"""The rows that a made-up year leaves in each table, as both databases load them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from monitor.incidents.bursts import EXAMPLES, GAP
from monitor.incidents.status import TenantStatus
from tests.bench.made_year import END, HOUR, Happening, MadeYear, Trouble, when

DAY = 24 * HOUR
KEPT_CHECKS_DAYS = 30
KEPT_TEXT_DAYS = 90
CHECKS_A_DAY = 6
READERS = 40
CHECK_BEFORE = 4 * HOUR

Row = Mapping[str, Any]
Write = Callable[[str, Iterable[Row]], None]


def tenant_id(number: int) -> str:
    return f"customer-{number:06}"


@dataclass
class _Burst:
    id: int
    kind: str
    subject: str
    permission: Any
    first: int
    last: int
    events: int = 0
    tenants: set[int] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)

    def add(self, tenant: int, at: int) -> None:
        self.last, self.events = at, self.events + 1
        if tenant not in self.tenants and len(self.examples) < EXAMPLES:
            self.examples.append(tenant_id(tenant))
        self.tenants.add(tenant)

    @property
    def row(self) -> Row:
        permission = self.permission
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "permission_id": permission.id if permission else None,
            "permission_group": permission.group if permission else None,
            "permission_label": permission.label if permission else None,
            "state": None if permission else self.subject,
            "first_at": when(self.first),
            "last_at": when(self.last),
            "seen_from": when(self.first - CHECK_BEFORE),
            "first_seen": when(self.first - 60),
            "seen_to": when(self.last - 60),
            "events": self.events,
            "tenants": len(self.tenants),
            "examples": json.dumps(self.examples),
        }


class MadeRows:
    """`write` takes a table's rows in the order of their ids; `write_all` calls it for one table after the other."""

    def __init__(self, year: MadeYear) -> None:
        self._year = year
        self._open: dict[int, list[Trouble]] = {}
        for one in year.troubles:
            if one.until is None:
                self._open.setdefault(one.tenant, []).append(one)
        self._bursts: list[_Burst] = []

    def write_all(self, write: Write) -> None:
        write("tenant", self._tenants())
        write("credential", self._credentials())
        write("incident", self._incidents())
        write("drift_event", self._events())
        write("burst", (burst.row for burst in self._bursts))
        write("notice", self._notices())
        write("cause", self._causes())
        write("status_change", self._status_changes())
        write("permission_state", self._permission_states())
        write("check_summary", self._checks())
        write("check_day", self._check_days())
        write("sweep", self._sweeps())
        write("operator_action", self._actions())
        write("notice_action", ({"notice_id": number * 7 + 1, "action_id": number + 1} for number in range(500)))
        write("write_halt", self._halts())

    def _since(self, tenant: int) -> tuple[TenantStatus, int]:
        """How a tenant stands now, and since when."""
        trouble = self._open.get(tenant)
        if trouble:
            failing = any(not one.lost for one in trouble)
            return (TenantStatus.FAILING if failing else TenantStatus.DRIFTED), min(one.at for one in trouble)
        kinds = {3: TenantStatus.UNDECIDED, 5: TenantStatus.PAUSED}
        return kinds.get(tenant % 100, TenantStatus.HEALTHY), -DAY - tenant * 60

    def _tenants(self) -> Iterator[Row]:
        for tenant in range(self._year.tenants):
            status, since = self._since(tenant)
            paused = {"reference": "renewal", "since": "2026-11-01"} if status is TenantStatus.PAUSED else None
            yield {
                "id": tenant_id(tenant),
                "name": f"Customer {tenant:06} {'Labs' if tenant % 7 else 'Incorporated'}",
                "csm_name": f"Reader Number{tenant % READERS:02}",
                "csm_email": f"reader.{tenant % READERS:02}@vendor.example",
                "features": "[]",
                "declined": "[]",
                "paused": json.dumps(paused) if paused else None,
                "row_digest": "d" * 16,
                "created_at": when(-self._year.seconds - DAY),
                "status": status.value,
                "severity": status.severity,
                "status_since": when(since),
            }

    def _lost(self, tenant: int) -> dict[int, int]:
        """Permissions that are missing now, and since when."""
        return {number: one.at for one in self._open.get(tenant, ()) for number in one.lost}

    def _credentials(self) -> Iterator[Row]:
        permissions = self._year.permissions
        unchecked = sum(permission.endpoint is None for permission in permissions)
        for tenant in range(self._year.tenants):
            status, since = self._since(tenant)
            missing = len(self._lost(tenant))
            undecided = 2 if status is TenantStatus.UNDECIDED else 0
            failing = status is TenantStatus.FAILING
            last = when(-(tenant * 7919 % CHECK_BEFORE) - 1)
            yield {
                "id": tenant + 1,
                "tenant_id": tenant_id(tenant),
                "label": "Gem Harvest API Key",
                "kind": "harvest-key",
                "reference": f"file:/run/keys/{tenant}",
                "fingerprint": fingerprint(tenant + 1),
                "manifest_digest": self._year.manifest.digest,
                "state": "invalid" if failing else "ok",
                "detail": "invalid" if failing else "",
                "state_since": when(since),
                "was_invalid": int(failing),
                "suspect_looks": 0,
                "epoch": 1,
                "next_due": None
                if status is TenantStatus.PAUSED
                else when(CHECK_BEFORE - tenant * 7919 % CHECK_BEFORE),
                "baseline_at": when(-self._year.seconds),
                "last_checked_at": last,
                "last_full_at": last,
                "last_outcome": "failed" if failing else "drifted" if missing else "compliant",
                "granted": len(permissions) - missing - undecided - unchecked,
                "missing": missing,
                "undecided": undecided,
                "unchecked": unchecked,
                "suspects": 0,
                "carried": 0,
                "excess": 0,
            }

    def _incidents(self) -> Iterator[Row]:
        opened: dict[int, int] = {}
        for number, one in enumerate(self._year.troubles, 1):
            # Of one tenant one incident at most is open: a second trouble that lasts belongs to the first one's.
            lasts = one.until is None and opened.setdefault(one.tenant, number) == number
            ended = None if lasts else when(one.until if one.until is not None else one.at + 60)
            yield {"id": number, "tenant_id": tenant_id(one.tenant), "opened_at": when(one.at), "resolved_at": ended}

    def _events(self) -> Iterator[Row]:
        latest: dict[tuple[str, str], _Burst] = {}
        number = 0
        for happening in self._year.happenings():
            for kind, permission in _kinds(happening, self._year):
                number += 1
                subject = permission.id if permission else "invalid"
                yield self._event(number, happening, kind, permission, self._burst(latest, happening, kind, subject))

    def _event(self, number: int, happening: Happening, kind: str, permission: Any, burst: int) -> Row:
        one = happening.trouble
        return {
            "id": number,
            "at": when(happening.at),
            "kind": kind,
            "tenant_id": tenant_id(one.tenant),
            "credential_id": one.tenant + 1,
            "incident_id": happening.number,
            "burst_id": burst,
            "permission_id": permission.id if permission else None,
            "permission_group": permission.group if permission else None,
            "permission_label": permission.label if permission else None,
            "mapping": "exact" if permission else None,
            "rule": "V20" if permission else None,
            "state": None if permission else "invalid" if happening.begins else "ok",
            "detail": "" if permission else "invalid",
            "seen_before": when(happening.at - CHECK_BEFORE),
            "first_seen": when(happening.at - 60),
            "manifest_digest": self._year.manifest.digest,
        }

    def _burst(self, latest: dict[tuple[str, str], _Burst], happening: Happening, kind: str, subject: str) -> int:
        found = latest.get((kind, subject))
        if found is None or happening.at - found.last > GAP.total_seconds():
            permission = next((p for p in self._year.permissions if p.id == subject), None)
            found = _Burst(len(self._bursts) + 1, kind, subject, permission, happening.at, happening.at)
            self._bursts.append(found)
            latest[kind, subject] = found
        found.add(happening.trouble.tenant, happening.at)
        return found.id

    def _notices(self) -> Iterator[Row]:
        """One for each trouble's beginning."""
        for number, one in enumerate(self._year.troubles, 1):
            status = "held" if one.held else "failed" if number % 50_000 == 0 else "sent"
            kept = status != "sent" or one.at > -KEPT_TEXT_DAYS * DAY
            written = min(one.at + 900, 0)
            yield {
                "id": number,
                "tenant_id": tenant_id(one.tenant),
                "audience": "csm",
                "status": status,
                "why": "lost" if one.lost else "failed",
                "recipient": f"reader.{one.tenant % READERS:02}@vendor.example",
                "subject": f"Customer {one.tenant:06}: {len(one.lost)} permissions are missing",
                "text": _TEXT if kept else "",
                "html": _HTML if kept else "",
                "message_id": f"<{number}@vendor.example>",
                "created_at": when(written),
                "attempts": 1,
                "sent_at": when(written + 5) if status == "sent" else None,
                "fallback": 0,
                "failed_at": when(written + 5) if status == "failed" else None,
                "reported_at": when(written + 5) if status == "failed" else None,
                "pending_since": when(written),
            }

    def _causes(self) -> Iterator[Row]:
        number = 0
        for happening in self._year.happenings():
            for kind, permission in _kinds(happening, self._year):
                number += 1
                yield {
                    "id": number,
                    "event_id": number,
                    "tenant_id": tenant_id(happening.trouble.tenant),
                    "audience": "csm",
                    "brake_key": f"{kind}:{permission.id if permission else 'invalid'}",
                    "created_at": when(happening.at),
                    "settled_at": when(happening.at + 900),
                    "notice_id": happening.number if happening.begins else None,
                }

    def _status_changes(self) -> Iterator[Row]:
        started = -self._year.seconds - DAY
        firsts = ((started, tenant, "healthy", None) for tenant in range(self._year.tenants))
        changes = (
            (one.at, one.trouble.tenant, *(("drifted", "healthy") if one.begins else ("healthy", "drifted")))
            for one in self._year.happenings()
        )
        for number, (at, tenant, status, previous) in enumerate((row for part in (firsts, changes) for row in part), 1):
            yield {
                "id": number, "tenant_id": tenant_id(tenant), "at": when(at), "status": status, "previous": previous,
            }  # fmt: skip

    def _permission_states(self) -> Iterator[Row]:
        begun = when(-self._year.seconds)
        for tenant in range(self._year.tenants):
            lost = self._lost(tenant)
            undecided = self._year.asked[:2] if self._since(tenant)[0] is TenantStatus.UNDECIDED else ()
            for number, permission in enumerate(self._year.permissions):
                open_ = number in undecided
                unchecked = permission.endpoint is None
                yield {
                    "credential_id": tenant + 1,
                    "permission_id": permission.id,
                    "permission_group": permission.group,
                    "permission_label": permission.label,
                    "verdict": None if unchecked else "missing" if number in lost else "granted",
                    "rule": "V20",
                    "since": None if unchecked else when(lost[number]) if number in lost else begun,
                    "origin": "lost" if number in lost else None,
                    "undecided_since": when(-DAY) if open_ else begun if unchecked else None,
                    "undecided_as": "undecided" if open_ else "not_checkable" if unchecked else None,
                    "undecided_reason": "server_error" if open_ else None,
                    "suspect_looks": 0,
                }  # fmt: skip

    def _checks(self) -> Iterator[Row]:
        number, permissions = 0, len(self._year.permissions)
        days = min(KEPT_CHECKS_DAYS, self._year.days)
        for step in range(days * CHECKS_A_DAY):
            begins = -days * DAY + step * CHECK_BEFORE
            for place in range(self._year.tenants):
                number += 1
                tenant = place * 7919 % self._year.tenants if self._year.tenants % 7919 else place
                yield {
                    "id": number,
                    "tenant_id": tenant_id(tenant),
                    "credential_id": tenant + 1,
                    "started_at": when(begins + place * CHECK_BEFORE // self._year.tenants),
                    "duration_seconds": 35.1,
                    "manifest_name": self._year.manifest.name,
                    "manifest_version": self._year.manifest.version,
                    "manifest_digest": self._year.manifest.digest,
                    "fingerprint": fingerprint(tenant + 1),
                    "state": "ok",
                    "detail": "",
                    "outcome": "compliant",
                    "granted": permissions,
                    "missing": 0,
                    "undecided": 0,
                    "unchecked": 0,
                    "excess": 0,
                    "requests": 70,
                    "partial": 0,
                }

    def _check_days(self) -> Iterator[Row]:
        for ago in range(self._year.days, KEPT_CHECKS_DAYS, -1):
            day = (END - timedelta(days=ago)).date().isoformat()
            for credential in range(1, self._year.tenants + 1):
                yield {
                    "day": day,
                    "credential_id": credential,
                    "checks": CHECKS_A_DAY,
                    "drifted": 0,
                    "undecided": 0,
                    "failed": 0,
                    "state": "ok",
                    "least_granted": len(self._year.permissions),
                    "most_missing": 0,
                    "most_undecided": 0,
                    "most_excess": 0,
                    "requests": 420,
                    "seconds": 210,
                }

    def _sweeps(self) -> Iterator[Row]:
        count = self._year.days * CHECKS_A_DAY
        for number in range(1, count + 1):
            began = (number - count) * CHECK_BEFORE - HOUR
            finished = None if number == count else when(began + CHECK_BEFORE)
            yield {"id": number, "started_at": when(began), "finished_at": finished}

    def _actions(self) -> Iterator[Row]:
        for number in range(1, 5001):
            yield {
                "id": number,
                "at": when(-(5001 - number) * self._year.seconds // 5001),
                "who": f"operator {number % 5}",
                "action": "notices release" if number <= 500 else ("sign in", "check now")[number % 2],
                "subject": tenant_id(number % self._year.tenants),
                "reason": "as agreed with the customer",
            }

    def _halts(self) -> Iterator[Row]:
        for number in range(1, 31):
            at = -number * self._year.seconds // 31
            yield {
                "id": number,
                "scope": "all",
                "tenant_id": tenant_id(0),
                "credential_id": 1,
                "endpoint": "POST /v1/candidates",
                "status": 201,
                "at": when(at),
                "lifted_at": when(at + HOUR),
                "lifted_reason": "looked at",
            }


def fingerprint(credential: int) -> str:
    return f"{credential:016x}"


def _kinds(happening: Happening, year: MadeYear) -> Iterator[tuple[str, Any]]:
    """The kinds of its events, each with its permission."""
    if happening.trouble.lost:
        for number in happening.trouble.lost:
            yield ("lost" if happening.begins else "regained"), year.permissions[number]
    else:
        yield ("credential_failed" if happening.begins else "recovered"), None


_TEXT = "Hello,\n\nthese permissions of your customer's key went missing.\n" + "A line of the email. " * 30
_HTML = "<!doctype html><p>" + "A line of the email, with its markup. " * 40
