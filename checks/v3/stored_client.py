"""What is stored for a v3 credential and is plainly something else: found before anything is sent."""

import re

from checks.credential import OAuthClient, Secret
from checks.errors import CredentialError

_CLIENT_ID = re.compile(r".*-[0-9]+")  # "the trailing `-<n>` suffix Greenhouse appends", w6w auth/token.ts
_NOT_ITSELF = re.compile(r"[\"'{\[].*|.*[\"']|(?:basic|bearer|authorization)[:=%+].*", re.IGNORECASE)


def require_plausible(client: OAuthClient) -> None:
    """CredentialError for a text that is quoted, JSON or a header, and for texts in each other's place."""
    stored = {"client id": client.client_id, "client secret": client.secret, "token": client.token}
    for what, secret in stored.items():
        if secret is not None:
            require_plain(what, secret)
    texts = [secret.reveal() for secret in stored.values() if secret is not None]
    if len(set(texts)) < len(texts):
        raise CredentialError("client id, client secret and token differ, but two references lead to the same text")
    if _CLIENT_ID.fullmatch(client.secret.reveal()) and not _CLIENT_ID.fullmatch(client.client_id.reveal()):
        raise CredentialError(
            "the client secret ends as a client id does, in a dash and a number, and the client id does not: exchange "
            "what the two references hold"
        )


def require_plain(what: str, secret: Secret) -> None:
    if _NOT_ITSELF.fullmatch(secret.reveal()):
        raise CredentialError(
            f"the {what} is in quotes, is JSON, or is a whole header: store the {what} itself and nothing else"
        )
