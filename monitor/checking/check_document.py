"""The JSON document of `check --json`, and the exit status that goes with it: a contract others rely on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from checks.credential import CredentialKind, CredentialState
from checks.report import CheckReport, Excess, Finding, Outcome, WriteAlarm


class ExitStatus(IntEnum):
    """Highest first: a write alarm outranks everything, a clean bill is what is left."""

    COMPLIANT = 0
    TROUBLE = 1
    USAGE = 2
    UNDECIDED = 3
    WRITE_ALARM = 4
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h
    STOPPED = 130  # 128 + SIGINT, as a shell reports it


_RANK = [
    ExitStatus.WRITE_ALARM,
    ExitStatus.STOPPED,
    ExitStatus.INTERNAL,
    ExitStatus.USAGE,
    ExitStatus.TROUBLE,
    ExitStatus.UNDECIDED,
    ExitStatus.COMPLIANT,
]
_UNDECIDED_STATES = frozenset({CredentialState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Checked:
    """One credential's result. `fingerprint` is None where its reference could not be resolved."""

    tenant_id: str
    label: str
    kind: CredentialKind
    fingerprint: str | None
    report: CheckReport


@dataclass(frozen=True, slots=True)
class CheckError:
    """What could not be done, for which tenant, and what to do; `status` is what it makes the command exit with."""

    tenant_id: str | None
    message: str
    status: ExitStatus = ExitStatus.USAGE


def document(results: Iterable[Checked], errors: Iterable[CheckError]) -> dict[str, Any]:
    return {"checks": [check_entry(result) for result in results], "errors": [_error(error) for error in errors]}


def exit_status(results: Iterable[Checked], errors: Iterable[CheckError]) -> ExitStatus:
    seen = {_status(result.report) for result in results} | {error.status for error in errors}
    return next((status for status in _RANK if status in seen), ExitStatus.COMPLIANT)


def _status(report: CheckReport) -> ExitStatus:
    if report.alarms:
        return ExitStatus.WRITE_ALARM
    match report.outcome:
        case Outcome.FAILED if report.state is CredentialState.MISCONFIGURED:
            return ExitStatus.USAGE
        case Outcome.FAILED if report.state in _UNDECIDED_STATES:
            return ExitStatus.UNDECIDED
        case Outcome.FAILED | Outcome.DRIFTED:
            return ExitStatus.TROUBLE
        case Outcome.UNDECIDED:
            return ExitStatus.UNDECIDED
    return ExitStatus.COMPLIANT


def alarm_error(tenant_id: str | None, alarm: WriteAlarm) -> CheckError:
    """A write alarm is reported with all that Greenhouse's support would ask for, however its check ended."""
    return CheckError(
        tenant_id,
        f"write alarm: {alarm.endpoint} was answered {alarm.status} at {alarm.at:%Y-%m-%d %H:%M:%SZ} (request "
        f"{alarm.request_id or 'without an id'}, record {alarm.record_id or 'not named'}): no further write was "
        "sent; check the record, and ask Greenhouse",
        ExitStatus.WRITE_ALARM,
    )


def check_entry(result: Checked) -> dict[str, Any]:
    """One entry of `checks`."""
    report = result.report
    return {
        "tenant": result.tenant_id,
        "credential": {
            "label": result.label,
            "kind": result.kind.value,
            "state": report.state.value,
            "detail": report.detail,
            **({"failure": report.connection_failure} if report.connection_failure else {}),
            "fingerprint": result.fingerprint,
        },
        "manifest": {
            "name": report.manifest_name,
            "version": report.manifest_version,
            "digest": report.manifest_digest,
            **({"v3_source": "derived"} if report.provisional else {}),
        },
        "outcome": report.outcome.value,
        "unchecked": report.unchecked,
        "permissions": [_permission(finding) for finding in report.findings],
        "excess": [_excess(result.kind, excess) for excess in report.excess],
        "requests": report.requests,
        "duration_seconds": round(report.duration_seconds, 3),
    }


def _permission(finding: Finding) -> dict[str, Any]:
    optional: dict[str, Any] = {}
    if finding.mapping is not None:
        optional["mapping"] = finding.mapping
    if finding.declined:
        optional["declined"] = True
    if finding.scopes:
        optional["scopes"] = list(finding.scopes)
    return {
        "id": finding.permission_id,
        "group": finding.group,
        "label": finding.label,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "rule": finding.rule,
        **optional,
    }


def _excess(kind: CredentialKind, excess: Excess) -> dict[str, Any]:
    what = "scope" if kind is CredentialKind.HARVEST_OAUTH else "endpoint"
    return {"label": excess.label, what: excess.endpoint, "certain": excess.certain}


def _error(error: CheckError) -> dict[str, Any]:
    tenant = {} if error.tenant_id is None else {"tenant": error.tenant_id}
    return {**tenant, "message": error.message}
