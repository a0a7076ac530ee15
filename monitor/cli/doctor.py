"""`doctor`: looks at an installation, and says what to do about what it finds."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.clock import utc_now
from monitor.config import settings as settings_module
from monitor.logs import LogLevel, configure
from monitor.upkeep.doctor import Diagnosis, Doctor
from monitor.upkeep.doctor_findings import Area, DoctorFinding

EXAMPLE = "Example: harvest-monitor doctor --json | jq '.findings[] | {tenant, message, next_step}'"
_SHOWN = 20


def command(
    run_commands: bool = typer.Option(False, help="Also run the `command:` references, as a check would."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Look at settings, database, tenants and their secrets; nothing is changed, and nothing sent to Greenhouse.

    Exit status: 0 nothing found, 1 something worth a look, 2 it could not look.
    """
    settings = settings_module.load()
    configure(LogLevel.ERROR, settings.log_format, sys.stderr)  # what else is logged stands in the findings
    seen = asyncio.run(Doctor(settings, utc_now(), run_commands=run_commands).look())
    if as_json:
        print_json(_document(seen))
    else:
        _show(seen)
    return ExitStatus.TROUBLE if seen.findings else ExitStatus.COMPLIANT


def _show(seen: Diagnosis) -> None:
    by_area = {area: [finding for finding in seen.findings if finding.area is area] for area in Area}
    shown = [finding for findings in by_area.values() for finding in findings[:_SHOWN]]
    print_table(["AREA", "TENANT", "CREDENTIAL", "FOUND", "NEXT STEP"], map(_line, shown), empty="nothing was found")
    if len(shown) < len(seen.findings):
        tell(f"… and {len(seen.findings) - len(shown)} more, which --json shows")
    tell("; ".join(f"{count} × {name}" for name, count in seen.credentials.items()) or "no credential could be read")
    if seen.not_run:
        tell(f"{seen.not_run} commands that give secrets were not run: --run-commands does")


def _line(finding: DoctorFinding) -> Sequence[str]:
    return finding.area, finding.tenant or "", finding.credential or "", finding.message, finding.next_step


def _document(seen: Diagnosis) -> dict[str, Any]:
    return {
        "findings": [asdict(finding) for finding in seen.findings],
        "credentials": seen.credentials,
        "commands_not_run": seen.not_run,
    }
