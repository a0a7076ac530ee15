"""How Greenhouse behaves towards one account: everything that is not on record, or was seen both ways, is a switch."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from monitor.sandbox.greenhouse.endpoints import cells, endpoints


class Order(StrEnum):
    """Which check comes first; never documented, and nobody has recorded it."""

    PERMISSION_FIRST = "permission_first"
    LOOKUP_FIRST = "lookup_first"
    PERMISSION_LAST = "permission_last"


class Retirement(StrEnum):
    """How a retired API might answer; no answer after 31 August 2026 is on record, so all of these are guesses."""

    NOT_FOUND_HTML = "404-html"
    NOT_FOUND_JSON = "404-json"
    GONE_HTML = "410-html"
    GONE_JSON = "410-json"
    MOVED = "301"
    UNAUTHORIZED = "401"
    FORBIDDEN_HTML = "403-html"


class SandboxSettings(BaseModel):
    """One account's switches. Assigning checks the value; `orders` is replaced as a whole, not changed in place."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    order: Order = Order.PERMISSION_FIRST
    orders: dict[str, Order] = Field(default_factory=dict)
    """Exceptions to `order`, by cell (`by-id/applications`) or by endpoint; an endpoint's own wins over its cell's."""
    denial_status: Literal[401, 403] = 403
    denial_shape: Literal["message", "errors"] = "message"
    not_found_shape: Literal["message", "errors"] = "message"
    validation_shape: Literal["recorded", "documented"] = "recorded"
    on_behalf_of: Literal["every_write", "documented", "off"] = "every_write"
    """Which writes need the header: all, only those with it in a table of headers, or none."""
    unknown_user: Literal[404, 403] = 404
    nested_without_parent: Literal["not_found", "empty_list"] = "not_found"
    limit: Annotated[int, Field(ge=1)] = 50
    limit_headers: bool = True
    other_traffic: Annotated[int, Field(ge=0)] = 0
    """Requests that the customer's own integration makes in every window; they come out of the same limit."""
    v3_limit: Annotated[int, Field(ge=1)] = 75
    token_limit: Annotated[int, Field(ge=1)] = 1000
    """Requests for tokens that one client may make in sixty seconds."""
    expiry: Literal["expires_at", "expires_in", "both", "none"] = "expires_at"
    """How a new token's end is told: integrations read `expires_at`, the documentation has `expires_in`."""
    introspected_scope: Literal["string", "list", "absent", "odd_spacing"] = "string"
    introspected_claims: Literal["nested", "flat", "absent"] = "nested"
    stale_scopes: bool = False
    """Introspection goes on listing scopes that were taken from the client since the token was issued."""
    non_admin_lists: Literal["forbidden", "empty"] = "forbidden"
    talent_matching: bool = False
    blocked: bool = False
    retired: Retirement | None = None
    retired_location: Annotated[str, Field(pattern=r"^https?://[!-~]+$")] = "https://harvest-v3.example/"

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
        """These settings with some of them changed. Raises pydantic's ValidationError, and then nothing has changed."""
        return SandboxSettings.model_validate(self.model_dump() | changes)


def mistakes(problem: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Each thing that does not fit: where it stands, and one line of words without the value that was given."""
    for error in problem.errors():
        words = "is not known here" if error["type"] == "extra_forbidden" else error["msg"]
        place = ".".join(map(str, error["loc"]))
        said = words.removeprefix("Value error, ")
        yield error["loc"], f"{place}: {said}" if place else said


def in_words(problem: ValidationError) -> str:
    return "; ".join(words for _, words in mistakes(problem))
