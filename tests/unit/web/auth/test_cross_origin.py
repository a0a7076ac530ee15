"""Which requests come from a page of ours, by what browsers say of them."""

from itertools import product

from starlette.requests import Request

from monitor.web.auth.cross_origin import refuse_cross_origin
from monitor.web.errors import RequestRefused
from tests.cases import for_each

HOST = "m.example:9808"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
SITES = (None, "same-origin", "none", "same-site", "cross-site", "", "Same-Origin")
OTHERS = (
    "null", "", "https://evil.example", "http://m.example:9808.evil.example", "http://m.example:9809", "http://m.example",
    "http://m.example:9808/x", "http://evil.example?http://m.example:9808", "file://", "http://", "*", "http://[",
)  # fmt: skip


def refused(method: str, headers: list[tuple[str, str]], public_url: str | None = None, host: str = HOST) -> bool:
    raw = [(name.lower().encode(), value.encode()) for name, value in [("Host", host), *headers]]
    request = Request({"type": "http", "method": method, "headers": raw})
    try:
        refuse_cross_origin(request, public_url)
    except RequestRefused:
        return True
    return False


def given(site: str | None, origin: str | None) -> list[tuple[str, str]]:
    named = [("Sec-Fetch-Site", site), ("Origin", origin)]
    return [(name, value) for name, value in named if value is not None]


@for_each([None, "https://public.example/"])
def test_only_what_comes_from_a_page_of_ours_may_change_something(public_url: str | None) -> None:
    """Each unsafe method, with each value of both headers: both must fit where they are sent, and one must be."""
    ours = {"http://m.example:9808", "https://m.example:9808", *(["https://public.example"] if public_url else [])}
    for method, site, origin in product(UNSAFE, SITES, (None, *sorted(ours), *OTHERS)):
        said = (site, origin) != (None, None)
        fine = said and site in (None, "same-origin", "none") and (origin is None or origin in ours)
        assert refused(method, given(site, origin), public_url) is not fine, (method, site, origin)


def test_what_changes_nothing_may_come_from_anywhere() -> None:
    """A link on another site opens a page."""
    for method, site, origin in product(("GET", "HEAD", "OPTIONS"), SITES, (None, *OTHERS)):
        assert not refused(method, given(site, origin))


def test_a_header_given_twice_is_no_proof() -> None:
    """Even if one of the two is right, or both are."""
    for first, second in product(("same-origin", "cross-site"), repeat=2):
        assert refused("POST", [("Sec-Fetch-Site", first), ("Sec-Fetch-Site", second)])
    for first, second in product((f"http://{HOST}", "https://evil.example"), repeat=2):
        assert refused("POST", [("Origin", first), ("Origin", second)])


def test_under_the_public_name_only_the_public_scheme_is_ours() -> None:
    """Whoever sits on the line can serve a page as http, which must not act on the https site."""
    for public_url in ("https://m.example", "https://M.example:443/", "https://m.example/monitor"):
        assert refused("POST", [("Origin", "http://m.example")], public_url, host="m.example")
        assert not refused("POST", [("Origin", "https://m.example")], public_url, host="m.example")
        assert not refused("POST", [("Origin", "https://m.example")], public_url, host="10.0.0.7:9808")


def test_without_a_host_nothing_is_ours() -> None:
    """An empty one is not the origin of anything."""
    assert refused("POST", [("Origin", "http://")], host="")
