"""A request as it reached the sandbox, and the key, client or token that it presents."""

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl


class SandboxRequest(NamedTuple):
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
    """The kind of the Authorization header; its text is never kept."""

    NONE = "none"
    BASIC = "basic"
    MALFORMED = "malformed"  # Basic, but not base64 of `key:` (answered with 400, issue 444 of the documentation)
    BEARER = "bearer"
    OTHER = "other"  # another scheme; treated as no key, by assumption


_SCHEMES = {"basic": Authorization.BASIC, "bearer": Authorization.BEARER}


def presented_key(request: SandboxRequest) -> tuple[Authorization, str]:
    """The kind of authorization, and the key in it or an empty string."""
    kind, key, _ = presented_client(request)
    return kind, key


def presented_client(request: SandboxRequest) -> tuple[Authorization, str, str]:
    """The kind of authorization, and user and password in it or empty strings."""
    kind, credentials = _authorization(request)
    if kind is not Authorization.BASIC:
        return kind, "", ""
    try:
        # Without `validate`, foreign characters are skipped, and a malformed header would pass.
        user, colon, password = base64.b64decode(credentials, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return Authorization.MALFORMED, "", ""
    return (Authorization.BASIC, user, password) if colon else (Authorization.MALFORMED, "", "")


def presented_token(request: SandboxRequest) -> tuple[Authorization, str]:
    """The kind of authorization, and the token in it or an empty string."""
    kind, credentials = _authorization(request)
    return kind, credentials if kind is Authorization.BEARER else ""


def _authorization(request: SandboxRequest) -> tuple[Authorization, str]:
    header = request.headers.get("authorization")
    if header is None:
        return Authorization.NONE, ""
    scheme, _, credentials = header.partition(" ")
    return _SCHEMES.get(scheme.lower(), Authorization.OTHER), credentials.strip()


def basic(key: str, password: str = "") -> str:
    """The Authorization header for this key. A key has no password, as documented; a v3 client has one, its secret."""
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode("ascii")
