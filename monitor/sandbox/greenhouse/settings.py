"""How Greenhouse behaves towards one account: whatever is not recorded, or was recorded both ways, is a setting."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from monitor.sandbox.greenhouse.endpoints import cells, endpoints


class Order(StrEnum):
    """Which check comes first; neither documented nor recorded."""

    PERMISSION_FIRST = "permission_first"
    LOOKUP_FIRST = "lookup_first"
    PERMISSION_LAST = "permission_last"


class Retirement(StrEnum):
    """How a retired API might answer; no answer after 31 August 2026 is recorded, so all of these are guesses."""

    NOT_FOUND_HTML = "404-html"
    NOT_FOUND_JSON = "404-json"
    GONE_HTML = "410-html"
    GONE_JSON = "410-json"
    MOVED = "301"
    UNAUTHORIZED = "401"
    FORBIDDEN_HTML = "403-html"


ScopeShape = Literal[
    "string",
    "list",
    "absent",
    "odd_spacing",
    "commas",
    "semicolons",
    "quoted",
    "escaped",
    "upper_case",
    "urls",
    "cut_off",
    "joined_list",
    "objects",
    "twice",
]
"""How introspection writes a token's scopes. Integrations read the first two; a reader must not guess at the others."""


class SandboxSettings(BaseModel):
    """One account's settings. Assigned values are validated; replace `orders` as a whole, do not change it in place."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    order: Order = Order.PERMISSION_FIRST
    orders: dict[str, Order] = Field(default_factory=dict)
    """Exceptions to `order`, by cell (`by-id/applications`) or by endpoint; the endpoint's wins over its cell's."""
    # No recording has both status and text: the documentation suggests 401, and integrations expect 403.
    denial_status: Literal[401, 403] = 403
    denial_shape: Literal["message", "errors"] = "message"
    not_found_shape: Literal["message", "errors"] = "message"
    validation_shape: Literal["recorded", "documented"] = "recorded"
    on_behalf_of: Literal["every_write", "documented", "off"] = "every_write"
    """Which writes need the header: all, only those whose documentation lists it in a table of headers, or none."""
    unknown_user: Literal[404, 403] = 404
    nested_without_parent: Literal["not_found", "empty_list"] = "not_found"
    # Recorded limits: 20 in 2014, 40 and 50 in 2016, 50 from 2017 to 2023. So nobody may rely on one.
    limit: Annotated[int, Field(ge=1)] = 50
    limit_headers: bool = True
    other_traffic: Annotated[int, Field(ge=0)] = 0
    """Requests that the customer's own integration sends in every window; they count against the same limit."""
    # 75 is the documentation's example; recorded was 150 (2026-05-11).
    v3_limit: Annotated[int, Field(ge=1)] = 150
    token_limit: Annotated[int, Field(ge=1)] = 60
    """Token requests that one client may send in sixty seconds."""
    expiry: Literal["expires_at", "expires_in", "both", "none"] = "expires_at"
    """How a new token states its expiry: integrations read `expires_at`, the documentation has `expires_in`."""
    introspected_scope: ScopeShape = "string"
    introspected_claims: Literal["nested", "flat", "absent", "contradicting"] = "nested"
    challenges: bool = False
    """v3 refuses with an empty body, and gives the reason in `WWW-Authenticate` alone."""
    stale_scopes: bool = False
    """Introspection keeps listing scopes that the client has lost since the token was issued."""
    non_admin_lists: Literal["forbidden", "empty"] = "forbidden"
    talent_matching: bool = False
    blocked: bool = False
    retired: Retirement | None = None
    retired_location: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] = "https://support.greenhouse.io/"

    @field_validator("orders")
    @classmethod
    def _names_cells_or_endpoints(cls, orders: dict[str, Order]) -> dict[str, Order]:
        unknown = [name for name in orders if name not in endpoints() and name not in cells()]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is neither a cell (one of {', '.join(cells())}) nor an endpoint")
        return orders

    def order_for(self, endpoint: str, cell: str) -> Order:
        return self.orders.get(endpoint) or self.orders.get(cell) or self.order

    def changed(self, **changes: object) -> "SandboxSettings":
        """A copy with some settings changed. Raises pydantic's ValidationError."""
        # Not model_copy(update=…), which does not validate.
        return SandboxSettings.model_validate(self.model_dump() | changes)


def mistakes(problem: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Each mistake: its place, and one line of text without the value that was given."""
    for error in problem.errors():
        text = "is not known here" if error["type"] == "extra_forbidden" else error["msg"]
        place = ".".join(map(str, error["loc"]))
        text = text.removeprefix("Value error, ")
        yield error["loc"], f"{place}: {text}" if place else text


def summary(problem: ValidationError) -> str:
    return "; ".join(text for _, text in mistakes(problem))
