"""What goes back over the wire, and the recorded texts in it."""

import json
from typing import NamedTuple

Header = tuple[bytes, bytes]

INVALID_KEY = "Invalid Basic Auth credentials"  # recorded 2020 and 2026
NO_PERMISSION = "This API Key does not have permission for this endpoint"  # quoted 2021, with no status
NOT_FOUND = "Resource not found"  # recorded many times, 2021 to 2023
NO_ACCESS = "You do not have access to that record"  # recorded 2017
ACCESS_DENIED = "Access denied"  # recorded
BAD_PAYLOAD = "Invalid JSON Payload"  # recorded 2021
UNDECODABLE = "Token could not be decoded. Please ensure your token is from a trusted source."  # measured 2026-08-11

_JSON = b"application/json; charset=utf-8"
_HTML = b"text/html; charset=utf-8"


class Reply(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[Header, ...] = ()

    def adding(self, *headers: Header) -> "Reply":
        return self._replace(headers=self.headers + headers)


def document(status: int, content: object) -> Reply:
    return Reply(status, json.dumps(content, separators=(",", ":")).encode())


def message(status: int, text: str) -> Reply:
    """The usual shape of a refusal: {"message": "..."}."""
    return document(status, {"message": text})


def challenge(status: int, scheme: str, error: str) -> Reply:
    """A refusal with its reason in a header alone (RFC 6750, section 3)."""
    return Reply(status, b"").adding((b"WWW-Authenticate", f'{scheme} error="{error}"'.encode("ascii")))


def errors(status: int, *problems: dict[str, str]) -> Reply:
    """The other recorded shape: {"errors": [{"message": "...", "field": "..."}]}."""
    return document(status, {"errors": list(problems)})


def page(status: int, title: str) -> Reply:
    """HTML, as from a content delivery network in front of the API."""
    text = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, text.encode(), _HTML)


def redirect(status: int, location: str) -> Reply:
    """`location` must be printable ASCII; settings and faults validate it."""
    return page(status, "Moved").adding((b"Location", location.encode("ascii")))
