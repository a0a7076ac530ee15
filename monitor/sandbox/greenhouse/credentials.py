"""What a v1 key and a v3 client have in common, and how either is found."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from monitor.errors import ConfigurationError
from monitor.sandbox.greenhouse.accounts import Account


@dataclass(eq=False, kw_only=True)
class SandboxCredential(ABC):
    """A key or a client: what is ticked for it, and whether it is alive. Changes take effect with the next request.

    `ticked` may be set to anything, also to names that Harvest does not have.
    """

    noun: ClassVar[str]
    identity_noun: ClassVar[str]

    account: Account
    label: str
    ticked: frozenset[str]
    dead: bool = False

    @property
    @abstractmethod
    def identity(self) -> str:
        """What a request presents: the text of a key, the id of a client."""

    @staticmethod
    @abstractmethod
    def expand(words: str | Iterable[str]) -> frozenset[str]:
        """The names that a word (`all`, `none`, `gem`, `gem+eeoc`) or a list stands for. Raises ConfigurationError."""

    def tick(self, *names: str) -> None:
        """Add endpoints such as `GET /v1/candidates`, or scopes such as `harvest:jobs:list`."""
        self.ticked |= self.expand(names)

    def untick(self, *names: str) -> None:
        self.ticked -= self.expand(names)

    def tick_only(self, words: str | Iterable[str]) -> None:
        """Tick exactly these: `all`, `none`, `gem`, `gem+eeoc` or a list."""
        self.ticked = self.expand(words)

    def kill(self) -> None:
        """Disable it. A dead key is answered like an unknown one; a dead client gets no token and its tokens fail."""
        self.dead = True

    def enable(self) -> None:
        self.dead = False


CredentialT = TypeVar("CredentialT", bound=SandboxCredential)


class CredentialDirectory(Generic[CredentialT]):
    """All keys, or all clients: found by account and label, or by the identity that a request presents."""

    def __init__(self, kind: type[CredentialT]) -> None:
        self._kind = kind
        self._by_account: dict[Account, dict[str, CredentialT]] = {}
        self._by_identity: dict[str, CredentialT] = {}

    def find(self, identity: str) -> CredentialT | None:
        return self._by_identity.get(identity)

    def of(self, account: Account) -> list[CredentialT]:
        return list(self._by_account.get(account, {}).values())

    def one(self, account: Account, label: str | None = None) -> CredentialT:
        """The one with this label; without a label, the account's only one. Raises ConfigurationError."""
        noun, labelled = self._kind.noun, self._by_account.get(account, {})
        if label is None and len(labelled) == 1:
            return next(iter(labelled.values()))
        if label is None or label not in labelled:
            known = ", ".join(map(repr, labelled)) or "none"
            problem = f"{len(labelled)} {noun}s" if label is None else f"no {noun} {label!r}"
            raise ConfigurationError(f"account {account.name} has {problem}: name one by its label ({known})")
        return labelled[label]

    def require_unused(self, account: Account, label: str) -> None:
        """Raises ConfigurationError if the account already has one with this label."""
        if label in self._by_account.get(account, {}):
            noun = self._kind.noun
            raise ConfigurationError(f"account {account.name} already has a {noun} {label!r}: choose another label")

    def add(self, credential: CredentialT) -> None:
        """Raises ConfigurationError if its label or its identity is taken."""
        self.require_unused(credential.account, credential.label)
        self._require_free(credential, credential.identity)
        self._by_identity[credential.identity] = credential
        self._by_account.setdefault(credential.account, {})[credential.label] = credential

    def change_identity(self, credential: CredentialT, identity: str) -> None:
        """Find it by another identity from now on; the old one is unknown then. Raises ConfigurationError."""
        self._require_free(credential, identity)
        self._by_identity[identity] = self._by_identity.pop(credential.identity)

    def _require_free(self, credential: CredentialT, identity: str) -> None:
        if identity in self._by_identity:
            raise ConfigurationError(
                f"the {credential.identity_noun} of account {credential.account.name} is already that of another "
                f"{credential.noun}"
            )


def require_sendable(credential: SandboxCredential, text: str, what: str) -> None:
    """Raises ConfigurationError if the text does not fit into a header of Basic authentication."""
    # RFC 7617: the first colon ends the user, so a key or an id cannot contain one.
    if not re.fullmatch(r"[!-9;-~]{1,512}", text):  # all of printable ASCII but space and colon
        raise ConfigurationError(
            f"the {what} of account {credential.account.name} cannot be sent: no space, colon or non-ASCII"
        )
