"""Masks secrets in anything about to be written: by the name of the field, by shape, and by known value.

Names and shapes catch secrets nobody registered; known values catch secrets without a shape.
"""

import base64
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping, Set
from typing import Any, Final
from urllib.parse import quote

from checks.credential import Secret

MASK = "***"
_PREFIX = 4  # known values are indexed by so many characters; a shorter secret is not learned
_DEEPEST = 6  # also ends a value that contains itself
_SENSITIVE_NAMES = frozenset({"key", "smtp_url", "database_url", "http_proxy", "dsn"})
_SENSITIVE_ENDINGS = ("_key", "apikey", "token", "secret", "password", "passphrase", "authorization", "cookie")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_SHAPES = (
    (re.compile(r"\b(basic|bearer)(\s+|%20|\+)[A-Za-z0-9+/=_.~-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"://[^\s\"'<>]*@"), f"://{MASK}@"),
    (re.compile(r"\b[0-9a-fA-F]{32}-[0-9]+\b"), MASK),  # a Harvest key as Greenhouse shows it
    (re.compile(r"\bhm[sl]?_[A-Za-z0-9_-]{40,}"), MASK),  # what monitor.web.auth.secret issues
    (_JWT, MASK),
)


def is_sensitive(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value looks like."""
    plain = name.casefold().replace("-", "_")
    return plain in _SENSITIVE_NAMES or plain.endswith(_SENSITIVE_ENDINGS)


def has_known_shape(text: str) -> bool:
    """Whether it is masked without having been learned: a JSON web token."""
    return bool(_JWT.fullmatch(text))


class Redactor:
    """Knows the secrets revealed last, up to `capacity`. Searching a text costs the same however many they are."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._spellings: Counter[str] = Counter()
        self._lengths: dict[str, Counter[int]] = {}  # by prefix: the lengths of the spellings that begin with it

    def learn(self, secret: Secret | str) -> None:
        """From now on mask this value everywhere, also base64-encoded, %-encoded or escaped."""
        text = secret.reveal() if isinstance(secret, Secret) else secret
        if text in self._known:
            self._known.move_to_end(text)
        elif len(text) >= _PREFIX:
            self._known[text] = _spellings(text)
            for spelling in self._known[text]:
                self._spellings[spelling] += 1
                self._lengths.setdefault(spelling[:_PREFIX], Counter())[len(spelling)] += 1
        if len(self._known) > self._capacity:
            self._forget_oldest()

    def text(self, text: str) -> str:
        # Known values first: a shape may mask a part of one, and the rest would no longer be recognized.
        hidden = self._hide_known(text)
        for shape, replacement in _SHAPES:
            hidden = shape.sub(replacement, hidden)
        return hidden

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields as plain JSON values, without secrets."""
        return self._mapping(fields, depth=0)

    def _mapping(self, fields: Mapping[Any, object], depth: int) -> dict[str, object]:
        return {
            self.text(str(name)): MASK if is_sensitive(str(name)) else self._value(value, depth + 1)
            for name, value in fields.items()
        }

    def _value(self, value: object, depth: int) -> object:
        if depth > _DEEPEST:
            return "…"
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(str(value))
            case bytes():
                return self.text(value.decode("latin-1"))
            case Mapping():
                return self._mapping(value, depth)
            case list() | tuple() | Set():
                return [self._value(item, depth + 1) for item in value]
        return self.text(_shown(value))

    def _hide_known(self, text: str) -> str:
        pieces = []
        start = position = 0
        while position <= len(text) - _PREFIX:
            length = self._known_length(text, position) if text[position : position + _PREFIX] in self._lengths else 0
            if length:
                pieces += [text[start:position], MASK]
                start = position + length
            position += length or 1
        return "".join([*pieces, text[start:]])

    def _known_length(self, text: str, position: int) -> int:
        # The longest first: if one secret is the beginning of another, nothing of the longer one may remain.
        lengths = sorted(self._lengths[text[position : position + _PREFIX]], reverse=True)
        return next((length for length in lengths if text[position : position + length] in self._spellings), 0)

    def _forget_oldest(self) -> None:
        _, spellings = self._known.popitem(last=False)
        for spelling in spellings:
            _count_down(self._spellings, spelling)
            _count_down(self._lengths[spelling[:_PREFIX]], len(spelling))
            if not self._lengths[spelling[:_PREFIX]]:
                del self._lengths[spelling[:_PREFIX]]


def _spellings(text: str) -> frozenset[str]:
    raw = text.encode()
    # Only whole groups of three bytes: the rest of the encoding depends on what follows, such as the colon of Basic.
    encoded = base64.b64encode(raw[: len(raw) // 3 * 3]).decode()
    spellings = {text, encoded, quote(text, safe=""), json.dumps(text)[1:-1], repr(text)[1:-1]}
    return frozenset(spelling for spelling in spellings if len(spelling) >= _PREFIX)


def _count_down(counts: Counter[Any], item: object) -> None:
    counts[item] -= 1
    if not counts[item]:
        del counts[item]


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a broken __str__ must not break what was being logged
        return f"<{type(value).__name__}>"


redactor: Final = Redactor()
