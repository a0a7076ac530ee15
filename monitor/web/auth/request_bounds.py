"""Requests that are refused before anything is looked up: too long, or with an address that holds what it must not."""

from http import HTTPStatus
from urllib.parse import parse_qsl, unquote_plus, unquote_to_bytes

from starlette.requests import Request

from monitor.web.auth.secret import holds_token
from monitor.web.errors import RequestRefused

LONGEST_URL = 8 * 1024
LONGEST_BODY = 1024 * 1024
_TOKEN_PARAMETERS = frozenset({"token", "access_token", "api_key", "apikey"})


def refuse_out_of_bounds(request: Request) -> None:
    """RequestRefused, without reading the body."""
    path, query = request.scope.get("raw_path", b""), request.scope["query_string"]
    if len(path) + len(query) > LONGEST_URL:
        raise RequestRefused(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            "url_too_long",
            f"the address is longer than {LONGEST_URL} bytes",
            "Use fewer or shorter filters.",
        )
    # Postgres takes it in no text, and no text of ours has one.
    if b"\0" in unquote_to_bytes(path + query):
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST,
            "bad_address",
            "the address holds a NUL character",
            "Correct the address.",
        )
    _refuse_token_in_url(path.decode("latin-1"), query.decode("latin-1"))
    if "Transfer-Encoding" in request.headers:
        raise RequestRefused(
            HTTPStatus.LENGTH_REQUIRED,
            "length_required",
            "the body's length is not known in advance",
            "Send the header Content-Length, and no Transfer-Encoding.",
        )
    if int(request.headers.get("Content-Length", 0)) > LONGEST_BODY:
        raise RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"the body is longer than {LONGEST_BODY} bytes",
            "Send less at once.",
        )


def _refuse_token_in_url(path: str, query: str) -> None:
    named = {name.casefold() for name, _ in parse_qsl(query, keep_blank_values=True)}
    if named & _TOKEN_PARAMETERS or holds_token(unquote_plus(f"{path} {query}")):
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST,
            "token_in_url",
            "a token in an address is not accepted: addresses are logged on their way, so this token is not secret now",
            "Revoke it (`harvest-monitor tokens revoke`), create another, and send that in the header Authorization.",
        )
