"""What `check` prints for people."""

from dataclasses import replace

from checks.credential import CredentialKind, CredentialState
from monitor.checking.check_document import Checked
from monitor.cli.check_output import lines
from tests.reports import KEY, failed


def test_a_failed_connection_is_told_with_names_and_what_to_do() -> None:
    """One line, with server, proxy and authority as they are, whatever brackets a name holds."""
    why = "the certificate of harvest.greenhouse.io is not trusted: issued by [bold]"
    report = replace(failed(CredentialState.UNREACHABLE, "certificate_untrusted"), connection_failure=why)
    told = lines(Checked("acme", "Key", CredentialKind.HARVEST_KEY, KEY, report))[1]
    next_step = "if a proxy opens TLS, its authority belongs into the CA bundle"
    assert told == f"  unreachable: {why}: {next_step}".replace("[", "\\[")
