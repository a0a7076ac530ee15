"""The service's branches of the error tree.

HarvestMonitorError (checks.errors)
├── ConfigurationError     a setting, the tenants file or a reference is wrong; nothing was sent
│   └── UnresolvedReference    a secret's reference cannot be resolved
│       └── SourceFailed           it could not be read this time; it may work next time
├── StoreError             the database is missing, too old, too new or not usable
│   └── StoreAway              it may be usable again without a change of settings: down, locked, full, read-only
└── DeliveryError          an email was not accepted; says what is to blame, and whether a retry can help
"""

import os
from enum import StrEnum

from checks.errors import HarvestMonitorError


class ConfigurationError(HarvestMonitorError):
    """A setting, the tenants file or a reference is wrong; the text names the place and the next step."""


class UnresolvedReference(ConfigurationError):
    """A secret's reference cannot be resolved; the text names the reference, never what it points to."""


class SourceFailed(UnresolvedReference):
    """A secret could not be read this time, from its file or its command; it may work at the next check."""


class StoreError(HarvestMonitorError):
    """The database cannot be used as it is."""


class StoreAway(StoreError):
    """The database cannot be used now, and may be later without a change of settings."""


class FailureScope(StrEnum):
    """What a failed delivery is due to, and so affects: all email, one recipient, one email; or `unclear`."""

    SERVER = "server"
    ADDRESS = "address"
    MAIL = "mail"
    UNCLEAR = "unclear"


class DeliveryError(HarvestMonitorError):
    """An email was not accepted. `permanent`: a retry cannot help.

    `reader_named`: it was refused after the reader had been named, so that even what the server says of us may hold for
    this reader only.
    """

    def __init__(
        self, message: str, blame: FailureScope, *, permanent: bool = False, reader_named: bool = False
    ) -> None:
        super().__init__(message)
        self.blame = blame
        self.permanent = permanent
        self.reader_named = reader_named


def system_words(problem: Exception) -> str:
    """Why the system refused, as people know it: `Address already in use`, without the numbers and names of Python."""
    number = getattr(problem, "errno", None)
    if number is not None and number > 0:
        return os.strerror(number)
    return getattr(problem, "strerror", None) or str(problem)
