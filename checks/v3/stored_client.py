"""What is stored for a v3 credential and is plainly something else: found before anything is sent."""

import re
from collections.abc import Mapping
from itertools import combinations

from checks.credential import Secret
from checks.errors import CredentialError
from checks.stored_secret import encoded_in, is_jwt, not_itself, require_plain

_ENDS_AS_CLIENT_ID = re.compile(r".*-[0-9]+")  # "the trailing `-<n>` suffix Greenhouse appends", w6w auth/token.ts
CLIENT_ID, CLIENT_SECRET, TOKEN = "client id", "client secret", "token"


def require_client_id(text: str) -> None:
    """CredentialError for a text that is certainly no client id."""
    _require_no_token(CLIENT_ID, text)
    if ":" in text:
        raise not_itself(CLIENT_ID, "contains a colon, which none does")


def require_client_secret(text: str) -> None:
    """CredentialError for a text that is certainly no client secret."""
    _require_no_token(CLIENT_SECRET, text)


def require_token(text: str) -> None:
    """CredentialError for a text that is certainly no token."""
    require_plain(TOKEN, text)


def _require_no_token(what: str, text: str) -> None:
    require_plain(what, text)
    if is_jwt(text):
        raise not_itself(what, "is a token")


def require_in_place(stored: Mapping[str, Secret]) -> None:
    """CredentialError for texts in each other's place; `stored` has those that are there, by what they are to be."""
    texts = {what: secret.reveal() for what, secret in stored.items()}
    for one, other in combinations(texts, 2):
        if texts[one] == texts[other]:
            raise CredentialError(f"the {one} and the {other} are the same text: correct one of the references")
    client_id, secret = texts.get(CLIENT_ID), texts.get(CLIENT_SECRET)
    if client_id is None or secret is None:
        return
    if _ENDS_AS_CLIENT_ID.fullmatch(secret) and not _ENDS_AS_CLIENT_ID.fullmatch(client_id):
        raise CredentialError(
            "the client secret ends as a client id does, in a dash and a number, and the client id does not: "
            "exchange what the two references hold"
        )
    for what, text in texts.items():
        found = encoded_in(text) or ""
        if found.startswith(f"{client_id}:") or found.endswith(f":{secret}"):
            raise not_itself(what, "is client id and secret, encoded in base64")
