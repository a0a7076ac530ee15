"""Who sends a request. A route asks for `viewer` or `operator` as a dependency."""

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from starlette.requests import Request

from monitor.web.auth.role import AccessRole
from monitor.web.errors import RequestRefused


class IdentitySource(StrEnum):
    """How somebody showed who they are."""

    LINK = "link"
    OIDC = "oidc"
    PROXY = "proxy"
    TOKEN = "token"  # noqa: S105  # a word, not a token


@dataclass(frozen=True, slots=True)
class Identity:
    """`id` is the session's or the API token's; a proxy's people have none."""

    name: str
    role: AccessRole
    source: IdentitySource
    id: str | None = None

    @property
    def who(self) -> str:
        """For the audit log: a token must not pass for a person of its name."""
        return f"token {self.name}" if self.source is IdentitySource.TOKEN else self.name


def viewer(request: Request) -> Identity:
    """Whoever is signed in."""
    identity = getattr(request.state, "identity", None)
    if not isinstance(identity, Identity):
        raise not_signed_in()
    return identity


def operator(request: Request) -> Identity:
    """Whoever may act; RequestRefused for a viewer."""
    identity = viewer(request)
    if identity.role is not AccessRole.OPERATOR:
        raise RequestRefused(
            HTTPStatus.FORBIDDEN,
            "operators_only",
            f"{identity.name} may read and not act here: nothing was done",
            "Ask an operator to do it, or to make you one (HARVEST_MONITOR_OPERATORS).",
        )
    return identity


def not_signed_in() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.UNAUTHORIZED,
        "not_signed_in",
        "nobody is signed in: nothing was done",
        "Send an API token in the header `Authorization: Bearer …` (`harvest-monitor tokens create`), or sign in.",
    )
