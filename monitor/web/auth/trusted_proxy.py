"""Sign-in by a proxy before us: it names the person in a header, which is believed from its addresses only."""

import re
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request

from monitor.web.auth.identity import Identity, IdentitySource
from monitor.web.auth.role import RolePolicy
from monitor.web.auth.trusted_networks import TrustedNetworks
from monitor.web.errors import RequestRefused

# A comma is how proxies join two headers of one name: it is never part of a name.
_NAME = re.compile(r"[^\s,\x00-\x1f\x7f-\x9f](?:[^,\x00-\x1f\x7f-\x9f]{0,198}[^\s,\x00-\x1f\x7f-\x9f])?")


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    networks: TrustedNetworks
    user_header: str
    groups_header: str | None
    roles: RolePolicy

    def identify(self, request: Request) -> Identity | None:
        """None where no proxy of ours names anybody; RequestRefused where it does so unclearly, or for a stranger."""
        if request.client is None or not self.networks.include(request.client.host):
            return None
        name = self._header(request, self.user_header)
        if name is None:
            return None
        if not _NAME.fullmatch(name):
            raise _unclear(self.user_header)
        role = self.roles.role_of([name, *self._groups(request)])
        if role is None:
            raise not_allowed(name)
        return Identity(name, role, IdentitySource.PROXY)

    def _groups(self, request: Request) -> list[str]:
        listed = self._header(request, self.groups_header) if self.groups_header else None
        return [group.strip() for group in (listed or "").split(",") if group.strip()]

    def _header(self, request: Request, name: str) -> str | None:
        """Given twice, one of the two may be the client's own."""
        values = request.headers.getlist(name)
        if len(values) > 1:
            raise _unclear(name)
        return _decoded(values[0], name) if values else None


def _decoded(value: str, name: str) -> str:
    """Proxies send UTF-8; ASGI servers read headers as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise _unclear(name) from None


def not_allowed(name: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.FORBIDDEN,
        "not_allowed",
        f"{name} may not read here",
        "Ask an operator to add you, or a group of yours, to HARVEST_MONITOR_VIEWERS.",
    )


def _unclear(header: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST,
        "unclear_proxy_header",
        f"the header {header} does not name exactly one person",
        "Let the proxy replace this header instead of adding to it, and send one name without a comma.",
    )
