"""Values as cells of CSV."""

from datetime import UTC, datetime

_BEGIN_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: names come from a file that others may write."""
    text = _text(value)
    return f"'{text}" if text.startswith(_BEGIN_A_FORMULA) else text


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
