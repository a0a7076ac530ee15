"""A request as it reached the sandbox, and the key it presents."""

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl


class Request(NamedTuple):
    """`target` is path and query as sent; `headers` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


class Authorization(StrEnum):
    """What the Authorization header looked like; its text is never kept."""

    NONE = "none"
    BASIC = "basic"
    MALFORMED = "malformed"  # Basic, but not base64 of `key:` (answered with 400, issue 444 of the documentation)
    OTHER = "other"  # another scheme; taken for no key, by assumption


def presented_key(request: Request) -> tuple[Authorization, str]:
    """What kind of authorization a request carries, and the key in it, or an empty string."""
    header = request.headers.get("authorization")
    if header is None:
        return Authorization.NONE, ""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return Authorization.OTHER, ""
    try:
        user, colon, _ = base64.b64decode(credentials.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return Authorization.MALFORMED, ""
    return (Authorization.BASIC, user) if colon else (Authorization.MALFORMED, "")


def basic(key: str) -> str:
    """The Authorization header that presents this key, as the documentation asks for it: no password."""
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode("ascii")
