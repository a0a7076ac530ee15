"""Whether a secret in a request came here without anybody on the way who could read it."""

from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from fastapi import Request

from monitor.web.errors import RequestRefused

_FORWARDED = ("x-forwarded-proto", "x-forwarded-for", "x-forwarded-host", "forwarded", "via")

TrustsProxy = Callable[[str], bool]
"""Whether what the client at this address says about whom it speaks for is believed."""


def require_protected(request: Request) -> None:
    """A dependency of routes that take secrets; RequestRefused before the body is read."""
    trusts: TrustsProxy = request.app.state.trusts_proxy
    if not is_protected(request, trusts):
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST,
            "secret_over_plain_http",
            "this request came over plain HTTP, so whoever is on the way could read the secret in it: nothing was read",
            "Send it by https, or from the service's own machine. A proxy before the service must be one that it "
            "trusts, and say X-Forwarded-Proto: https. Replace the secret if others may have seen it.",
        )


def is_protected(request: Request, trusts: TrustsProxy) -> bool:
    """TLS up to us, or up to a proxy that is trusted; or a client on this machine that speaks for nobody else."""
    if request.url.scheme == "https":
        return True
    address = request.client.host if request.client else ""
    if not any(name in request.headers for name in _FORWARDED):
        return _is_loopback(address)
    protocols = ",".join(request.headers.getlist("x-forwarded-proto")).split(",")
    return trusts(address) and all(protocol.strip().lower() == "https" for protocol in protocols)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
