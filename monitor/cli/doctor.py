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
from monitor.upkeep.doctor import Doctor, DoctorReport
from monitor.upkeep.finding import DoctorArea, HealthFinding

EXAMPLE = "Example: harvest-monitor doctor --json | jq '.findings[] | {tenant, message, next_step}'"
_SHOWN = 20


def command(
    run_commands: bool = typer.Option(False, help="Also run the `command:` references, as a check would."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Examine settings, database, tenants and their secrets; changes nothing, sends nothing to Greenhouse.

    Exit status: 0 nothing found, 1 at least one finding, 2 it could not run.
    """
    settings = settings_loader.load()
    configure(LogLevel.ERROR, settings.log_format, sys.stderr)  # warnings are among the findings
    report = asyncio.run(Doctor(settings, utc_now(), run_commands=run_commands).run())
    if as_json:
        print_json(_document(report))
    else:
        _show(report)
    return ExitStatus.TROUBLE if report.findings else ExitStatus.COMPLIANT


def _show(report: DoctorReport) -> None:
    by_area = {area: [finding for finding in report.findings if finding.part is area] for area in DoctorArea}
    shown = [finding for findings in by_area.values() for finding in findings[:_SHOWN]]
    print_table(["AREA", "TENANT", "CREDENTIAL", "FOUND", "NEXT STEP"], map(_line, shown), empty="nothing was found")
    if len(shown) < len(report.findings):
        tell(f"… and {len(report.findings) - len(shown)} more; --json shows all")
    tell("; ".join(f"{count} × {name}" for name, count in report.credentials.items()) or "no credential could be read")
    if report.commands_not_run:
        tell(f"{report.commands_not_run} commands that supply secrets were not run; --run-commands runs them")


def _line(finding: HealthFinding) -> Sequence[str]:
    return finding.part, finding.tenant or "", finding.credential or "", finding.message, finding.next_step


def _document(report: DoctorReport) -> dict[str, Any]:
    return {
        "findings": [
            {
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
    }
