"""Shares and lengths of time as words. Pure."""

from datetime import timedelta

from monitor.notices.wording import counted

_BLANK = "\N{NO-BREAK SPACE}"
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def percent(share: float | None) -> str:
    """Rounded down, so that only all of it is 100 %."""
    if share is None:
        return "–"
    if share >= 1:
        return f"100{_BLANK}%"
    if share == 0:
        return f"0{_BLANK}%"
    # A binary fraction may be a little less than what it stands for: 58.31 % is 5830.999… hundredths.
    hundredths = min(int(share * 10_000 + 1e-6), 9_999)
    if hundredths == 0:
        return f"below 0.01{_BLANK}%"
    return f"{hundredths // 100}.{hundredths % 100:02}{_BLANK}%"


def length(span: timedelta) -> str:
    """`1 day and 4 hours`: the largest unit, and the one below it."""
    return " and ".join(counted(number, unit) for unit, number in _parts(span)) or "less than a minute"


def short_length(span: timedelta | None) -> str:
    """`1 d 4 h`, for tables."""
    if span is None:
        return "–"
    return " ".join(f"{number:,} {_SHORT[unit]}" for unit, number in _parts(span)) or "< 1 min"


_SHORT = {"day": "d", "hour": "h", "minute": "min"}


def _parts(span: timedelta) -> list[tuple[str, int]]:
    rest, parts = span, []
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        parts.append((unit, number))
    first = next((place for place, (_, number) in enumerate(parts) if number), len(parts))
    return [(unit, number) for unit, number in parts[first : first + 2] if number]
