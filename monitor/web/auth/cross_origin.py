"""Requests that another site makes a signed-in browser send are refused, by what browsers say of their origin."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request

from monitor.web.errors import RequestRefused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_OWN = frozenset({"same-origin", "none"})
_STANDARD_PORTS = {"http": ":80", "https": ":443"}


def refuse_cross_origin(request: Request, public_url: str | None) -> None:
    """RequestRefused for a request that may change something and does not come from a page of ours."""
    if request.method in SAFE_METHODS:
        return
    sites, origins = request.headers.getlist("Sec-Fetch-Site"), request.headers.getlist("Origin")
    # Browsers send one of the two, or both; a program that sends neither has no reason to hold a cookie.
    known = len(sites) + len(origins) > 0 and len(sites) <= 1 and len(origins) <= 1
    if not (known and _OUR_OWN.issuperset(sites) and _ours(request, public_url).issuperset(origins)):
        raise RequestRefused(
            HTTPStatus.FORBIDDEN,
            "cross_origin",
            "this request does not come from a page of this service: nothing was done",
            "Open the page here and try again. Behind a proxy, HARVEST_MONITOR_PUBLIC_URL must be the address that "
            "people open. Programs use an API token.",
        )


def _ours(request: Request, public_url: str | None) -> set[str]:
    """Our public origin, and what the browser called us, with either scheme, since a proxy may have ended the TLS."""
    host = request.headers.get("Host", "").lower()
    called = {f"http://{host}", f"https://{host}"} if host else set()
    if public_url is None:
        return called
    public = _origin(public_url)
    # Under the public name only the public scheme: somebody on the line can serve pages as http://.
    return {public} if public in called else {public, *called}


def _origin(address: str) -> str:
    """As browsers write it: lower case, without the scheme's own port and without a path."""
    parts = urlsplit(address.lower())
    return f"{parts.scheme}://{parts.netloc.removesuffix(_STANDARD_PORTS[parts.scheme])}"
