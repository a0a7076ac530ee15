"""How Greenhouse behaves towards one account: whatever is not recorded, or was recorded both ways, is a setting."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from monitor.sandbox.greenhouse.endpoints import Endpoint, cells, endpoints


class CheckStep(StrEnum):
    """A check of a live key's request. In which order they come is neither documented nor recorded."""

    PERMISSION = "permission"
    ON_BEHALF_OF = "on_behalf_of"
    RECORD = "record"
    FIELDS = "fields"


NAMED_ORDERS: Final[Mapping[str, str]] = {
    "permission_first": "permission,on_behalf_of,record,fields",
    "lookup_first": "on_behalf_of,record,permission,fields",
    "permission_last": "on_behalf_of,record,fields,permission",
}


@cache
def steps_of(order: str) -> tuple[CheckStep, ...]:
    """The steps of an order: a name, or every step once, with commas. Raises ValueError with the word that is wrong."""
    words = [word.strip() for word in NAMED_ORDERS.get(order, order).split(",")]
    unknown = [word for word in words if word not in list(CheckStep)]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is neither a check nor an order: use {_RIGHT_ORDERS}")
    wrong = [f"{step} stands there {words.count(step)} times" for step in CheckStep if words.count(step) != 1]
    if wrong:
        raise ValueError(f"{wrong[0]}: use {_RIGHT_ORDERS}")
    return tuple(map(CheckStep, words))


_RIGHT_ORDERS: Final = f"one of {', '.join(NAMED_ORDERS)}, or each of {', '.join(CheckStep)} once, with commas between"


def _known_order(order: str) -> str:
    steps_of(order)
    return order


Order = Annotated[str, AfterValidator(_known_order)]
OnBehalfOf = Literal["every_write", "documented", "off"]
WithoutParent = Literal["not_found", "empty_list"]


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
    """One account's settings. Assigned values are validated; replace a mapping as a whole, do not change it in place.

    `orders`, `headers` and `parents` are exceptions by cell (`by-id/applications`) or by endpoint; the endpoint's wins
    over its cell's.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    order: Order = "permission_first"
    orders: dict[str, Order] = Field(default_factory=dict)
    # No recording has both status and text: the documentation suggests 401, and integrations expect 403.
    denial_status: Literal[401, 403] = 403
    denial_shape: Literal["message", "errors"] = "message"
    not_found_shape: Literal["message", "errors"] = "message"
    validation_shape: Literal["recorded", "documented"] = "recorded"
    on_behalf_of: OnBehalfOf = "every_write"
    """Which writes need the header: all, only those whose documentation lists it in a table of headers, or none."""
    headers: dict[str, OnBehalfOf] = Field(default_factory=dict)
    unknown_user: Literal[404, 403] = 404
    nested_without_parent: WithoutParent = "not_found"
    parents: dict[str, WithoutParent] = Field(default_factory=dict)
    not_needed: dict[str, list[str]] = Field(default_factory=dict)
    """By endpoint: fields that are documented as required, and that it does not demand."""
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

    @field_validator("orders", "headers", "parents")
    @classmethod
    def _names_cells_or_endpoints(cls, exceptions: dict[str, Any]) -> dict[str, Any]:
        unknown = [name for name in exceptions if name not in endpoints() and name not in cells()]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is neither a cell (one of {', '.join(cells())}) nor an endpoint")
        return exceptions

    @field_validator("not_needed")
    @classmethod
    def _names_required_fields(cls, not_needed: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, fields in not_needed.items():
            if name not in endpoints():
                raise ValueError(f"{name!r} is no endpoint: write METHOD and documented path")
            required = (*endpoints()[name].needs, *endpoints()[name].query_needs)
            unknown = [field for field in fields if field not in required]
            if unknown:
                raise ValueError(f"{name} does not need {unknown[0]!r}, but {', '.join(required) or 'no field'}")
        return not_needed

    def steps_for(self, endpoint: Endpoint) -> tuple[CheckStep, ...]:
        return steps_of(self.orders.get(endpoint.name) or self.orders.get(endpoint.cell) or self.order)

    def on_behalf_of_for(self, endpoint: Endpoint) -> OnBehalfOf:
        return self.headers.get(endpoint.name) or self.headers.get(endpoint.cell) or self.on_behalf_of

    def without_parent_for(self, endpoint: Endpoint) -> WithoutParent:
        return self.parents.get(endpoint.name) or self.parents.get(endpoint.cell) or self.nested_without_parent

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
