"""What `db check` looks at, and what it finds that should not be: pure."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """In the order in which they are looked at."""

    FILE = "file"
    TABLES = "tables"
    REFERENCES = "references"
    RECORDS = "records"
    KEY = "key"
    UPKEEP = "upkeep"
    SPACE = "space"


@dataclass(frozen=True, slots=True)
class DatabaseFinding:
    """Something that must not be, and what to do. `tenant` is whom it concerns, if it is one alone."""

    part: Part
    tenant: str | None
    message: str
    next_step: str
