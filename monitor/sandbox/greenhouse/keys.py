"""The Harvest keys of v1 and v2."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from monitor.sandbox.greenhouse.credentials import SandboxCredential, require_sendable
from monitor.sandbox.greenhouse.endpoints import Endpoint, endpoint_names


@dataclass(eq=False, kw_only=True)
class Key(SandboxCredential):
    """One Harvest key; the names of endpoints are ticked for it."""

    noun: ClassVar[str] = "key"
    identity_noun: ClassVar[str] = "key"

    text: str

    def __post_init__(self) -> None:
        require_sendable(self, self.text, "key")

    @property
    def identity(self) -> str:
        return self.text

    @staticmethod
    def expand(words: str | Iterable[str]) -> frozenset[str]:
        return endpoint_names(words)

    def may(self, endpoint: Endpoint) -> bool:
        # Documented: a key with v1's Destroy Openings has v2's, too.
        return endpoint.name in self.ticked or endpoint.comes_with in self.ticked
