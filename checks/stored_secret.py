"""Texts that are plainly not a secret, whatever secret was meant: found before anything is sent.

v1 and v3 add what only they know. Real secrets may have shapes that nobody has recorded: so nothing is refused that
might be one.
"""

import base64
import json
import re

from checks.errors import CredentialError

_FLAGS = re.IGNORECASE | re.DOTALL | re.ASCII
# The name of a variable that holds a secret. Not any name: a token of a shape we do not know may have a `=` inside.
_VARIABLE = r"(export\s+)?([A-Z_][A-Z0-9_]{2,127}|(?i:[a-z0-9_.-]{0,60}(key|token|secret|client_?id)[a-z0-9_]{0,60}))"
_SHAPES = (
    (re.compile(r"\s*", _FLAGS), "is empty"),
    # As read from a file in latin-1, and as in the environment.
    (re.compile("(ï»¿|ÿþ|þÿ|\ufeff).*", _FLAGS), "begins with a byte order mark, as some editors write one"),
    (re.compile(r"\s*-----BEGIN .*", _FLAGS), "is a PEM block"),
    (re.compile(r"\s*(basic|bearer|authorization)[\s:=%+].*", _FLAGS), "is a header, or the value of one"),
    (re.compile(r"\s*[{\[].*", _FLAGS), "is JSON, or another text in brackets"),
    (re.compile(r"\s*[\"'`].*|.*[\"'`]\s*", _FLAGS), "is in quotes"),
    (re.compile(r"\s*[a-z][a-z0-9+.-]*://.*", _FLAGS), "is a URL"),
    (re.compile(rf"\s*{_VARIABLE}\s*=\s*[^\s=].*", re.DOTALL | re.ASCII), "has the name of a variable before it"),
    (re.compile(r"\s*(\$\{.*\}|\$\(.*\))\s*", _FLAGS), "is a placeholder that nothing has replaced"),
    (re.compile(r".*[\r\n].*", _FLAGS), "contains a line break"),
    (re.compile(r".*\s.*", _FLAGS), "contains white space"),
    (re.compile(r".*[^\x21-\x7e].*", _FLAGS), "contains a control character, or one outside ASCII"),
)
# Shorter texts could be the base64 of readable characters by chance.
_READABLE = re.compile(r"[\x21-\x7e]{16,}[\r\n]*")


def require_plain(what: str, text: str) -> None:
    """CredentialError, which does not show the text, if it can be no secret at all; `what` it was to be."""
    for shape, problem in _SHAPES:
        if shape.fullmatch(text):
            raise not_itself(what, problem)


def not_itself(what: str, problem: str) -> CredentialError:
    return CredentialError(f"the {what} {problem}: store the {what} itself and nothing else")


def is_jwt(text: str) -> bool:
    """Whether this is a JSON web token, signed or encrypted."""
    parts = text.split(".")
    if len(parts) not in (3, 5):
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def encoded_in(text: str) -> str | None:
    """The readable text that this is the base64 of, if it certainly is."""
    try:
        found = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return None
    return found.rstrip("\r\n") if _READABLE.fullmatch(found) else None
