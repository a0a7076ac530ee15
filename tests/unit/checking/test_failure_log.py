"""Why Greenhouse was not reached is logged once for each cause and credential."""

import io
import json
from dataclasses import replace

import pytest

from checks.credential import CredentialState
from checks.report import PAUSED
from monitor.checking.failure_log import FailureLog
from monitor.logs import LogFormat, LogLevel, configure
from tests.reports import served

REFUSED = replace(
    served({}),
    state=CredentialState.UNREACHABLE,
    detail="connection_refused",
    connection_failure="harvest.greenhouse.io refuses connections",
)
RESET = replace(REFUSED, detail="connection_reset", connection_failure="it was reset")


@pytest.fixture
def stream() -> io.StringIO:
    written = io.StringIO()
    configure(LogLevel.INFO, LogFormat.JSON, written)
    return written


def test_a_cause_is_logged_once_until_it_changes_or_ends(stream: io.StringIO) -> None:
    """Also for each credential by itself; a paused check says nothing, so the cause lasts."""
    failures = FailureLog()
    paused = replace(REFUSED, detail=PAUSED, connection_failure="")
    for report in (REFUSED, REFUSED, paused, REFUSED, RESET, served({}), RESET):
        failures.note("acme", "Key", report)
    failures.note("acme", "Other", RESET)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["credential"], line["detail"]) for line in lines] == [
        ("Key", "connection_refused"),
        ("Key", "connection_reset"),
        ("Key", "connection_reset"),
        ("Other", "connection_reset"),
    ]
    assert {line["event"] for line in lines} == {"greenhouse_not_reached"}
    assert lines[0]["why"] == "harvest.greenhouse.io refuses connections"
