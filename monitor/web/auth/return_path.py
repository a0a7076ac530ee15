"""Where people go after they signed in: a page of ours, never another site."""

import re
from urllib.parse import quote

from starlette.requests import Request

# One slash, then anything that no browser takes for the beginning of a host (`//`, `/\`) or drops (control characters).
_OURS = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\uffff]{0,2000}")
SIGN_IN = "/sign-in"


def return_path(wanted: str) -> str:
    """The path if it is one of ours; else the first page."""
    return wanted if _OURS.fullmatch(wanted) and not wanted.startswith(SIGN_IN) else "/"


def sign_in_path(request: Request) -> str:
    """The sign-in page that leads back to what was asked for."""
    path = return_path(path_of(request))
    return SIGN_IN if path == "/" else f"{SIGN_IN}?to={quote(path, safe='/')}"


def path_of(request: Request) -> str:
    """Path and query as they were sent."""
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query = request.scope["query_string"]
    return str((raw + b"?" + query if query else raw).decode("latin-1"))
