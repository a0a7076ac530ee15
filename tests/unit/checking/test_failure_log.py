"""Why Greenhouse was not reached is logged once for each cause and credential."""

from dataclasses import replace

from structlog.testing import capture_logs

from checks.credential import CredentialState
from checks.report import PAUSED
from monitor.checking.failure_log import FailureLog
from tests.reports import served

REFUSED = replace(
    served({}),
    state=CredentialState.UNREACHABLE,
    detail="connection_refused",
    connection_failure="harvest.greenhouse.io refuses connections",
)
RESET = replace(REFUSED, detail="connection_reset", connection_failure="it was reset")


def test_a_cause_is_logged_once_until_it_changes_or_ends() -> None:
    """Also for each credential by itself; a paused check says nothing, so the cause lasts."""
    failures = FailureLog()
    paused = replace(REFUSED, detail=PAUSED, connection_failure="")
    with capture_logs() as lines:
        for report in (REFUSED, REFUSED, paused, REFUSED, RESET, served({}), RESET):
            failures.note("acme", "Key", report)
        failures.note("acme", "Other", RESET)
    assert [(line["credential"], line["detail"]) for line in lines] == [
        ("Key", "connection_refused"),
        ("Key", "connection_reset"),
        ("Key", "connection_reset"),
        ("Other", "connection_reset"),
    ]
    assert {line["event"] for line in lines} == {"greenhouse_not_reached"}
    assert lines[0]["why"] == "harvest.greenhouse.io refuses connections"
