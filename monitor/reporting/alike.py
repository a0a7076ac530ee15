"""Tenants that stand alike for the same reason: a long list says of them how many they are. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.connection_failure import FailureCode
from checks.credential import CredentialState
from checks.reasons import DETAILS
from monitor.incidents.status import TenantStatus
from monitor.notices.wording import counted
from monitor.reporting.tenant_list import TenantRow

LISTED_ALIKE = 20
"""So many tenants that stand alike are listed one by one; more are counted."""


@dataclass(frozen=True, slots=True)
class Alike:
    """`words` are said of each of its tenants."""

    status: TenantStatus
    words: str
    tenants: int

    @property
    def said(self) -> str:
        return f"{counted(self.tenants, 'tenant')} {self.words}"


def set_apart(rows: Iterable[TenantRow]) -> tuple[list[TenantRow], list[Alike]]:
    """The rows to be listed, and the groups of too many; both in the order of the rows."""
    groups: dict[tuple[TenantStatus, str], list[TenantRow]] = {}
    for row in rows:
        groups.setdefault((row.status, _reason(row)), []).append(row)
    many = [(status, of_it) for (status, _), of_it in groups.items() if len(of_it) > LISTED_ALIKE]
    listed = [row for of_it in groups.values() if len(of_it) <= LISTED_ALIKE for row in of_it]
    return listed, [Alike(status, _words_of_all(of_it), len(of_it)) for status, of_it in many]


def _reason(row: TenantRow) -> str:
    """In one outage connections fail in several ways: of all of them tenants are alike."""
    return "no connection" if _is_without_connection(row) else _words(row)


def _is_without_connection(row: TenantRow) -> bool:
    if row.status is not TenantStatus.FAILING or row.worst is None:
        return False
    return row.worst.state is CredentialState.UNREACHABLE and row.worst.detail in frozenset(FailureCode)


def _words_of_all(rows: Sequence[TenantRow]) -> str:
    """What is said of each, or, where they fail in several ways, of most."""
    (words, number), *others = Counter(map(_words, rows)).most_common()
    return f"{words} ({number:,} of them; others in other ways)" if others else words


def _words(row: TenantRow) -> str:
    match row.status:
        case TenantStatus.FAILING:
            return _failing(row)
        case TenantStatus.DRIFTED:
            return f"lack {_permissions(row.missing_labels, row.missing)}"
        case TenantStatus.UNDECIDED:
            return f"are undecided: {row.undecided_why}"
        case status:
            return f"are {status}"


def _failing(row: TenantRow) -> str:
    """The message beside `misconfigured` names its tenant, so none is like another."""
    if row.worst is None or row.worst.state is CredentialState.MISCONFIGURED:
        return "are failing: misconfigured"
    return f"are failing: {row.worst.state}: {DETAILS.get(row.worst.detail, row.worst.detail)}"


def _permissions(labels: Sequence[str], missing: int) -> str:
    """Not `lost`: what was never there, or is newly required, is missing as well."""
    named = sorted(labels)[:2]
    more = missing - len(named)
    return f"{', '.join(named)}{f' and {more} more' if more > 0 else ''}"
