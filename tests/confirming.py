"""Repeated checks of one credential, as the command `check` makes them: until nothing is in doubt."""

from collections.abc import Callable

from checks.check_request import CheckRequest
from checks.report import CheckReport
from monitor.checking.confirmation import Confirmation
from tests.reports import KEY, POLICY, T0

Check = Callable[[CheckRequest], CheckReport]


def confirmed(request: CheckRequest, first: Check, second: Check) -> CheckReport:
    """The merged report of the first check and all later ones; each asks only about what the earlier ones left open."""
    confirmation = Confirmation(POLICY)
    confirmation.add(first(request), KEY, T0)
    while confirmation.in_doubt:
        confirmation.add(second(confirmation.suspicion.narrow(request, KEY)), KEY, T0)
    return confirmation.report
