"""The tree of errors of the library.

    HarvestMonitorError
    ├── CatalogueError         an endpoint was named that is not in the catalogue
    ├── GateRefusal            a request that may not be sent was about to be sent
    ├── ReadFailed             a file could not be read this time; it may be readable the next time
    ├── DocumentError          a YAML text cannot be read, or does not fit its schema
    │   └── ManifestError          a manifest cannot be read as one
    ├── WireError              the connection cannot be set up as the settings say
    └── CredentialError        a credential cannot be used as it is

`monitor.errors` grows further branches from the same root. A message says what happened, to whom, and what to do
next. No message ever contains a secret.
"""


class HarvestMonitorError(Exception):
    """Something a user can act on; its text is shown as it is."""


class CatalogueError(HarvestMonitorError):
    """An endpoint was named that is not in the catalogue."""


class GateRefusal(HarvestMonitorError):
    """A request was not sent because exactly this request is not in the catalogue."""


class ReadFailed(HarvestMonitorError):
    """A file could not be read this time, whatever is in it; it may be readable the next time."""


class DocumentError(HarvestMonitorError):
    """A YAML text is missing, is not YAML or does not fit its schema; `problems` has one sentence for each fault."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ManifestError(DocumentError):
    """A manifest is missing, is not YAML or does not fit the schema; every problem found is in the text."""


class WireError(HarvestMonitorError):
    """The connection to Greenhouse cannot be set up as the settings say; nothing was sent."""


class CredentialError(HarvestMonitorError):
    """A credential's secret cannot be sent (empty, or characters no header may carry), or is plainly something else."""
