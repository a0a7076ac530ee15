"""`doctor`: examines an installation, and says what to do about each finding."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import typer

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.clock import utc_now
from monitor.config import settings_loader
from monitor.logs import LogLevel, configure
from monitor.notices.wording import counted
from monitor.upkeep.doctor import Doctor, DoctorReport
from monitor.upkeep.finding import DoctorArea, HealthFinding, Severity

EXAMPLE = "Example: harvest-monitor doctor && sudo systemctl restart harvest-monitor"
_SHOWN = 20


def command(
    run_commands: bool = typer.Option(
        False, "--run-commands", help="Also run the `command:` references, as a check would."
    ),
    network: bool = typer.Option(
        False, "--network", help="Also try the way to Greenhouse's servers: a TLS handshake, without a key."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Examine settings, database, tenants and their secrets; changes nothing, sends no request to Greenhouse.

    Exit status: 0 no problem (notes do not count), 1 at least one problem, 2 it could not run.
    """
    settings = settings_loader.load()
    configure(LogLevel.ERROR, settings.log_format, sys.stderr)  # warnings are among the findings
    report = asyncio.run(Doctor(settings, utc_now(), run_commands=run_commands, network=network).run())
    if as_json:
        print_json(_document(report))
    else:
        _show(report)
    return ExitStatus.TROUBLE if report.of(Severity.PROBLEM) else ExitStatus.COMPLIANT


def _show(report: DoctorReport) -> None:
    shown = [finding for severity in Severity for area in DoctorArea for finding in _found(report, severity, area)]
    columns = ["SEVERITY", "AREA", "TENANT", "CREDENTIAL", "FOUND", "NEXT STEP"]
    print_table(columns, map(_line, shown), empty="nothing was found")
    if len(shown) < len(report.findings):
        tell(f"… and {len(report.findings) - len(shown)} more; --json shows all")
    if report.findings:
        tell(", ".join(counted(len(report.of(severity)), severity) for severity in Severity))
    tell("; ".join(f"{count} × {name}" for name, count in report.credentials.items()) or "no credential could be read")
    for address, reached in report.reached.items():
        tell(f"{address} {'can be reached' if reached else 'cannot be reached'}")
    if not report.reached:
        tell("not tried: the way to Greenhouse; --network tries it, without a key")
    if report.commands_not_run:
        tell(f"not run: {counted(report.commands_not_run, 'command')} for secrets; --run-commands runs them")


def _found(report: DoctorReport, severity: Severity, area: DoctorArea) -> list[HealthFinding]:
    return [finding for finding in report.of(severity) if finding.part is area][:_SHOWN]


def _line(finding: HealthFinding) -> Sequence[str]:
    return (
        finding.severity,
        finding.part,
        finding.tenant or "",
        finding.credential or "",
        finding.message,
        finding.next_step,
    )


def _document(report: DoctorReport) -> dict[str, Any]:
    return {
        "findings": [
            {
                "severity": finding.severity,
                "area": finding.part,
                "message": finding.message,
                "next_step": finding.next_step,
                "tenant": finding.tenant,
                "credential": finding.credential,
            }
            for finding in report.findings
        ],
        "credentials": report.credentials,
        "commands_not_run": report.commands_not_run,
        "reached": report.reached,
    }
