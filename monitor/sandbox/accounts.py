"""The customers of the imitated Greenhouse, and their keys."""

import re
from collections.abc import Iterable

from monitor.errors import ConfigurationError
from monitor.sandbox.endpoints import Endpoint, granted
from monitor.sandbox.records import Records
from monitor.sandbox.settings import Settings
from monitor.sandbox.window import Window


class Key:
    """One Harvest key: what is ticked for it, and whether it lives. Changes hold from the next request on."""

    def __init__(self, account: "Account", label: str, text: str, grants: frozenset[str]) -> None:
        if not re.fullmatch(r"[!-9;-~]{1,512}", text):
            raise ConfigurationError(f"the key of account {account.name} can not be sent: no space, colon or non-ASCII")
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


class Account:
    """One customer: its settings, its records, its keys, and the window they share."""

    def __init__(self, name: str, number: int, settings: Settings, marker: str) -> None:
        self.name = name
        self.settings = settings
        self.records = Records(number, marker)
        self.window = Window()
        self.keys: dict[str, Key] = {}
        self._texts_made = 0

    def key(self, label: str | None = None) -> Key:
        """The key with this label; without one, the only key. Raises ConfigurationError."""
        if label is None and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        if label is None or label not in self.keys:
            known = ", ".join(repr(known) for known in self.keys) or "none"
            problem = f"{len(self.keys)} keys" if label is None else f"no key {label!r}"
            raise ConfigurationError(f"account {self.name} has {problem}: name one by its label ({known})")
        return self.keys[label]

    def new_text(self) -> str:
        """A text for a key that no key of this account ever had."""
        self._texts_made += 1
        return f"sandbox-{self.name}-{self._texts_made}"
