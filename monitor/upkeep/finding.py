"""What `doctor` and `db check` examine, and what they report: pure."""

from dataclasses import dataclass
from enum import StrEnum


class DoctorArea(StrEnum):
    """What `doctor` examines, in this order."""

    INSTALLATION = "installation"
    SETTINGS = "settings"
    DATABASE = "database"
    MANIFEST = "manifest"
    TENANTS = "tenants"
    CREDENTIALS = "credentials"
    NETWORK = "network"


class DatabasePart(StrEnum):
    """What `db check` examines, in this order."""

    FILE = "file"
    TABLES = "tables"
    REFERENCES = "references"
    RECORDS = "records"
    KEY = "key"
    HISTORY = "history"
    UPKEEP = "upkeep"
    SPACE = "space"


class Severity(StrEnum):
    """Whether somebody has to act: a `problem` fails the command, a `note` is worth knowing and fails nothing.

    A problem keeps the service from starting, checking, telling people or keeping secrets. A note is a choice that was
    made in so many words, a step that can come later, or a matter of the customers.
    """

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """Something wrong, or worth attention, and the next step; tenant and credential if it concerns only one."""

    part: DoctorArea | DatabasePart
    message: str
    next_step: str
    tenant: str | None = None
    credential: str | None = None
    severity: Severity = Severity.PROBLEM

    @classmethod
    def of_error(
        cls, part: DoctorArea | DatabasePart, text: str, tenant: str | None = None, credential: str | None = None
    ) -> "HealthFinding":
        """From the text of one of our own errors, which says after its last colon what to do."""
        message, colon, next_step = text.rpartition(": ")
        return cls(part, message if colon else text, next_step if colon else "", tenant, credential)
