"""The customers of the imitated Greenhouse, their keys and their v3 clients."""

import re
from collections.abc import Iterable
from typing import TypeVar

from monitor.errors import ConfigurationError
from monitor.sandbox.clients import Client, Grant
from monitor.sandbox.greenhouse.endpoints import Endpoint, granted
from monitor.sandbox.greenhouse.rate_limit import V3_SECONDS, RateLimitWindow
from monitor.sandbox.greenhouse.records import Records
from monitor.sandbox.greenhouse.settings import SandboxSettings

_FIRST_ORGANIZATION = 4000
_FIRST_SERVICE_USER = 4_000_000_000
_USERS_APART = 1000


class Key:
    """One Harvest key: what is ticked for it, and whether it lives. Changes hold from the next request on."""

    def __init__(self, account: "Account", label: str, text: str, grants: frozenset[str]) -> None:
        check_sendable(text, f"the key of account {account.name}")
        self.account = account
        self.label = label
        self.text = text
        self.grants = grants
        self.dead = False

    def grant(self, *names: str) -> None:
        """Tick endpoints, e.g. `GET /v1/candidates`."""
        self.grants |= granted(names)

    def revoke(self, *names: str) -> None:
        """Untick endpoints."""
        self.grants -= granted(names)

    def grant_only(self, words: str | Iterable[str]) -> None:
        """Tick exactly these: `all`, `none`, `gem`, `gem+eeoc` or a list of endpoints."""
        self.grants = granted(words)

    def kill(self) -> None:
        """Disable the key: it then answers like one that never was."""
        self.dead = True

    def enable(self) -> None:
        self.dead = False

    def may(self, endpoint: Endpoint) -> bool:
        return endpoint.name in self.grants or endpoint.comes_with in self.grants


def check_sendable(text: str, what: str) -> None:
    """Raises ConfigurationError if it does not fit into a header of Basic authentication."""
    if not re.fullmatch(r"[!-9;-~]{1,512}", text):
        raise ConfigurationError(f"{what} can not be sent: no space, colon or non-ASCII")


Labelled = TypeVar("Labelled", Key, Client)


class Account:
    """One customer: its settings, its records, its keys and clients, and the windows they share.

    On v3, a customer's own clients and partners' are counted apart, as the guide to rate limits has it.
    """

    def __init__(self, name: str, number: int, settings: SandboxSettings, marker: str) -> None:
        self.name = name
        self.settings = settings
        self.records = Records(number, marker)
        self.window = RateLimitWindow()
        self.v3_windows: dict[Grant, RateLimitWindow] = {
            "custom": RateLimitWindow(V3_SECONDS),
            "partner": RateLimitWindow(V3_SECONDS),
        }
        self.keys: dict[str, Key] = {}
        self.clients: dict[str, Client] = {}
        self.organization_id = _FIRST_ORGANIZATION + number
        self.organization_name = name
        self._texts_made = 0
        self._clients_made = 0
        self._secrets_made = 0

    def key(self, label: str | None = None) -> Key:
        """The key with this label; without one, the only key. Raises ConfigurationError."""
        return self._labelled(self.keys, label, "key")

    def client(self, label: str | None = None) -> Client:
        """The v3 client with this label; without one, the only client. Raises ConfigurationError."""
        return self._labelled(self.clients, label, "client")

    def _labelled(self, those: dict[str, Labelled], label: str | None, what: str) -> Labelled:
        if label is None and len(those) == 1:
            return next(iter(those.values()))
        if label is None or label not in those:
            known = ", ".join(repr(known) for known in those) or "none"
            problem = f"{len(those)} {what}s" if label is None else f"no {what} {label!r}"
            raise ConfigurationError(f"account {self.name} has {problem}: name one by its label ({known})")
        return those[label]

    def new_text(self) -> str:
        """A text for a key that no key of this account ever had."""
        self._texts_made += 1
        return f"sandbox-{self.name}-{self._texts_made}"

    def new_client_id(self) -> str:
        """An id that no client of this account ever had; it ends as Greenhouse's do, in a dash and digits."""
        self._clients_made += 1
        return f"sandbox-{self.name}-client-{self._clients_made}"

    def new_secret(self) -> str:
        self._secrets_made += 1
        return f"sandbox-{self.name}-secret-{self._secrets_made}"

    def new_service_user(self) -> str:
        """The id of the user that Greenhouse makes for a client."""
        first = _FIRST_SERVICE_USER + (self.organization_id - _FIRST_ORGANIZATION) * _USERS_APART
        return str(first + len(self.clients) + 1)
