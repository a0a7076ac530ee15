"""The service's branches of the tree of errors.

HarvestMonitorError (checks.errors)
├── ConfigurationError     a setting, the tenants file or a reference is wrong; nothing was sent
│   └── UnresolvedReference    a secret's reference can not be resolved
│       └── SourceFailed           the command behind it hung or failed, and may work the next time
├── StoreError             the database is missing, too old, too new or not reachable
└── DeliveryError          a mail was not taken; it says what is to blame, and whether trying again can help
"""

from enum import StrEnum

from checks.errors import HarvestMonitorError


class ConfigurationError(HarvestMonitorError):
    """A setting, the tenants file or a reference is wrong; the text names the place and the next step."""


class UnresolvedReference(ConfigurationError):
    """A secret's reference can not be resolved; the text names the reference, never what it points to."""


class SourceFailed(UnresolvedReference):
    """A command that gives a secret hung or failed; the next look may find it working."""


class StoreError(HarvestMonitorError):
    """The database can not be used as it is."""


class FailureScope(StrEnum):
    """Whom a failed delivery concerns: every mail, one reader, one mail; or one of these, and nobody can tell which."""

    SERVER = "server"
    ADDRESS = "address"
    MAIL = "mail"
    UNCLEAR = "unclear"


class DeliveryError(HarvestMonitorError):
    """A mail was not taken. `permanent` says that trying again can not help."""

    def __init__(self, message: str, blame: FailureScope, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.blame = blame
        self.permanent = permanent
