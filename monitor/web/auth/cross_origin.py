"""Requests that another site makes a signed-in browser send are refused, by what browsers say of their origin."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request

from monitor.web.errors import RequestRefused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_OWN = frozenset({"same-origin", "none"})
_STANDARD_PORTS = {"http": 80, "https": 443}


def refuse_cross_origin(request: Request, public_url: str | None) -> None:
    """RequestRefused for a request that may change something and does not come from a page of ours."""
    if request.method in SAFE_METHODS:
        return
    sites, origins = request.headers.getlist("Sec-Fetch-Site"), request.headers.getlist("Origin")
    # Browsers send one of the two, or both; a program that sends neither has no reason to hold a cookie.
    known = len(sites) + len(origins) > 0 and len(sites) <= 1 and len(origins) <= 1
    if not (known and _OUR_OWN.issuperset(sites) and all(_is_ours(one, request, public_url) for one in origins)):
        raise RequestRefused(
            HTTPStatus.FORBIDDEN,
            "cross_origin",
            "this request does not come from a page of this service: nothing was done",
            "Open the page here and try again. Behind a proxy, HARVEST_MONITOR_PUBLIC_URL must be the address that "
            "people open. Programs use an API token.",
        )


def _is_ours(origin: str, request: Request, public_url: str | None) -> bool:
    """Our public address; or what the browser called us, with either scheme, since a proxy may have ended the TLS."""
    found = _origin(origin)
    if found is None:
        return False
    public = _origin(public_url) if public_url else None
    if public is not None and found[1] == public[1]:
        return found == public
    host = request.headers.get("Host", "")
    return found == _origin(f"{found[0]}://{host}")


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host, port; None for what is none, such as `null`."""
    try:
        parts = urlsplit(address)
        standard = _STANDARD_PORTS.get(parts.scheme)
        host, port = parts.hostname, parts.port or standard
    except ValueError:
        return None
    return (parts.scheme, host, port) if host and standard and port else None
