"""The customers of the imitated Greenhouse."""

from collections import Counter
from typing import Literal

from monitor.sandbox.greenhouse.rate_limit import V3_SECONDS, RateLimitWindow
from monitor.sandbox.greenhouse.records import Records
from monitor.sandbox.greenhouse.settings import SandboxSettings

ClientGrant = Literal["custom", "partner"]
"""Whose v3 client it is: the customer's own, or a partner's."""

_FIRST_ORGANIZATION = 4000
_FIRST_SERVICE_USER = 4_000_000_000
_USERS_PER_ACCOUNT = 1000


class Account:
    """One customer: its settings, its records, and the rate limit windows that its keys and clients share.

    On v3 the customer's own clients and partners' clients are counted apart, as in the rate limit guide.
    """

    def __init__(self, name: str, number: int, settings: SandboxSettings, marker: str) -> None:
        self.name = name
        self.settings = settings
        self.records = Records(number, marker)
        self.window = RateLimitWindow()
        self.v3_windows: dict[ClientGrant, RateLimitWindow] = {
            "custom": RateLimitWindow(V3_SECONDS),
            "partner": RateLimitWindow(V3_SECONDS),
        }
        self.organization_id = _FIRST_ORGANIZATION + number
        self.organization_name = name
        self._number = number
        self._generated: Counter[str] = Counter()

    def new_key_text(self) -> str:
        return f"sandbox-{self.name}-{self._next('key')}"

    def new_client_id(self) -> str:
        """It ends as Greenhouse's do, in a dash and digits."""
        return f"sandbox-{self.name}-client-{self._next('client')}"

    def new_secret(self) -> str:
        return f"sandbox-{self.name}-secret-{self._next('secret')}"

    def new_service_user(self) -> str:
        """The id of the user that Greenhouse creates for a client."""
        return str(_FIRST_SERVICE_USER + self._number * _USERS_PER_ACCOUNT + self._next("service user"))

    def _next(self, kind: str) -> int:
        """Never the same number twice, so that a rotated key or secret is never issued again."""
        self._generated[kind] += 1
        return self._generated[kind]
