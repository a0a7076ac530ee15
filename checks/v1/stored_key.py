"""What is stored for a v1 key and is plainly something else: found before anything is sent."""

import re

from checks.stored_secret import encoded_in, is_jwt, not_itself, require_plain

_WHAT = "key"
_USUAL_KEY = re.compile(r"[0-9a-f]{32}(-[0-9]+)?", re.IGNORECASE)


def require_key(text: str) -> None:
    """CredentialError for a text that is certainly no key; the usual shape is not asked for."""
    require_plain(_WHAT, text)
    if is_jwt(text):
        raise not_itself(_WHAT, "is a token of Harvest v3")
    # Basic authentication could not tell it from its password.
    if ":" in text:
        raise not_itself(_WHAT, "contains a colon, which no key does, such as a client id and its secret")
    if _encodes_a_key(text):
        raise not_itself(_WHAT, "is encoded in base64, as `curl -u` sends it")


def _encodes_a_key(text: str) -> bool:
    found = encoded_in(text) or ""
    return found.find(":") == len(found) - 1 > 0 or bool(_USUAL_KEY.fullmatch(found))
