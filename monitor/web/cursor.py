"""Where the next page of a list begins, as one opaque word in an address."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

_LONGEST = 1000


class BadCursor(Exception):
    """The cursor was altered, or is of another list."""


def encoded(values: Sequence[Any]) -> str:
    """Of numbers, texts and moments."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(cursor: str, *kinds: type) -> list[Any]:
    """The values, each of its kind; BadCursor for anything that is no cursor of this list."""
    try:
        if len(cursor) > _LONGEST:
            raise BadCursor
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list):
            raise BadCursor
        return [_value(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, binascii.Error, UnicodeError, RecursionError):
        raise BadCursor from None


def _value(value: Any, kind: type) -> Any:
    if kind is datetime and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise BadCursor
        return at
    # Not isinstance: True is an int.
    if type(value) is not kind or (isinstance(value, int) and not -(2**63) < value < 2**63):
        raise BadCursor
    return value
