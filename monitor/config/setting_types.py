"""Types of settings: durations, rates, addresses that may carry a password, references to secrets, lists."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr
from pydantic_settings import NoDecode

from checks.text_file import without_mark
from monitor.config import addresses, secrets
from monitor.errors import ConfigurationError

_MAX_DURATION = timedelta(days=366)
_MIN_HISTORY, _MAX_HISTORY = timedelta(days=90), timedelta(days=36_600)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(value: object, longest: timedelta = _MAX_DURATION) -> timedelta:
    """Seconds as a number, or text such as `90s`, `15m`, `4h`, `1d`."""
    if isinstance(value, timedelta):
        return value
    found = None if isinstance(value, bool) else re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smhd]?)", str(value))
    if not found:
        raise ValueError("must be seconds as a number, or a text such as 90s, 15m, 4h or 1d")
    duration = timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    if duration > longest:
        raise ValueError(f"must not be longer than {longest.days} days")
    return duration


def _without_mark(bundle: Path) -> Path:
    raw = bundle.read_bytes()
    # Read by OpenSSL, which knows no mark: it would leave out the certificate behind it without a word.
    if without_mark(raw) != raw:
        raise ValueError("begins with a byte order mark, which hides its first certificate; save it as UTF-8 without")
    return bundle


PemFile = Annotated[FilePath, AfterValidator(_without_mark)]


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("must be longer than 0")
    return duration


def _long_duration(value: object) -> timedelta:
    """As long as a business may have to keep records; long enough for all that looks back at recent events."""
    duration = parse_duration(value, _MAX_HISTORY)
    if duration < _MIN_HISTORY:
        raise ValueError(f"must be at least {_MIN_HISTORY.days} days")
    return duration


def secret_address(check: Callable[[str], object]) -> BeforeValidator:
    """An address that may carry a password: the address itself, or a reference to it that is resolved at the start."""

    def read(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str):
            raise ValueError("must be text")
        if secrets.is_reference(text):
            text = _resolve(text)
        check(text)
        return text

    return BeforeValidator(read)


def _resolve(reference: str) -> str:
    try:
        return secrets.resolve_reference(reference, environ=os.environ).reveal()
    except ConfigurationError as problem:
        raise ValueError(f"cannot be resolved: {problem}") from None


def contact_text(text: str) -> str:
    # It becomes a comment in the User-Agent, which a bracket would end (RFC 9110, 5.6.5).
    if not re.fullmatch(r"[\x21-\x27\x2a-\x7e]([\x20-\x27\x2a-\x7e]{0,198}[\x21-\x27\x2a-\x7e])?", text):
        raise ValueError("must be printable ASCII without brackets, up to 200 characters, such as an email address")
    return text


def plain_line(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be one line without invisible characters")
    return " ".join(text.split())


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def checked(check: Callable[[str], object]) -> AfterValidator:
    def keep(text: str) -> str:
        check(text)
        return text

    return AfterValidator(keep)


Delay = Annotated[timedelta, BeforeValidator(parse_duration)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_positive)]
LongDuration = Annotated[timedelta, BeforeValidator(_long_duration)]
Rate = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Percent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Origin = Annotated[str, AfterValidator(addresses.greenhouse_origin)]


def secret_reference(value: object) -> object:
    """What a reference points to; a literal secret is refused, and not shown."""
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, str) or not secrets.is_reference(value):
        raise ValueError(f"must be a reference to the secret, not the secret itself ({secrets.KNOWN_KINDS})")
    return _resolve(value)


def _listed(value: object) -> object:
    """A list, or its members in one text, separated by commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _not_empty(members: tuple[str, ...]) -> tuple[str, ...]:
    if not members or not all(member.strip() for member in members):
        raise ValueError("must name at least one, separated by commas")
    return members


def _networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise ValueError("must be networks such as 10.1.2.0/24, or single addresses, separated by commas") from None
    return networks


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_not_empty)]
Networks = Annotated[Names, AfterValidator(_networks)]
SecretReference = Annotated[SecretStr, BeforeValidator(secret_reference)]
# For the words of emails that people outside read.
Line = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(plain_line)]
# No underscore: many proxies drop headers with one, or take it for a dash.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
