"""The secrets that we issue: API tokens, session ids, one-time links.

A prefix that says what it is, 256 random bits, and a checksum: secret scanners find such a text, and a mistyped one is
refused without a query.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from zlib import crc32

RandomBytes = Callable[[int], bytes]
_BYTES = 32
_CHECKSUM_CHARACTERS = 6
_SHAPE = re.compile(r"hm[sl]?_[A-Za-z0-9_-]{49}")
_IN_TEXT = re.compile(r"(?<![A-Za-z0-9_-])hms?_[A-Za-z0-9_-]{49}(?![A-Za-z0-9_-])")


class SecretKind(StrEnum):
    """What a secret is for; the value is its prefix. monitor.redaction masks all three."""

    API_TOKEN = "hm_"  # noqa: S105  # the beginning of one
    SESSION = "hms_"
    LINK = "hml_"


def new_secret(kind: SecretKind, random: RandomBytes) -> str:
    body = kind + _base64(random(_BYTES))
    return body + _checksum(body)


def is_secret(text: str, kind: SecretKind) -> bool:
    """Whether the text has the form of such a secret and its checksum is right."""
    body, checksum = text[:-_CHECKSUM_CHARACTERS], text[-_CHECKSUM_CHARACTERS:]
    return bool(_SHAPE.fullmatch(text)) and text.startswith(kind) and _checksum(body) == checksum


def holds_token(text: str) -> bool:
    """Whether something in the text looks like an API token or a session id."""
    return _IN_TEXT.search(text) is not None


def digest_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def short_id(digest: str) -> str:
    """By which people name a session or a token: enough to tell them apart, useless for signing in."""
    return digest[:12]


def _checksum(body: str) -> str:
    return _base64(crc32(body.encode()).to_bytes(4, "big"))


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
