"""Loads a credential from where the tenants file says it is kept, again for each check."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from checks.credential import OAuthClient, Secret, Token, fingerprint
from checks.errors import CredentialError
from checks.v1.stored_key import require_key
from checks.v3.stored_client import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    require_client_id,
    require_client_secret,
    require_in_place,
    require_token,
)
from monitor.config.secrets import resolve_credential_reference
from monitor.errors import UnresolvedReference
from monitor.redaction import has_known_shape, redactor
from monitor.tenants.file import MINT, CredentialConfig, OAuthConfig

LoadedCredential = Secret | OAuthClient


@dataclass(frozen=True, slots=True)
class StoredText:
    """Where one text of a credential is kept. `what` it is to be; `require` raises CredentialError if it plainly isn't.

    `field` is the field of the tenants file.
    """

    field: str
    what: str
    reference: str
    kind: type[Secret]
    require: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CredentialLoader:
    """`command_seconds` is how long a `command:` may take to print a secret.

    A file that cannot be read is read again after `replacing_seconds`, in which another may take its place.
    """

    installation_key: bytes
    command_seconds: float
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    replacing_seconds: float = 1.0

    async def load(self, tenant_id: str, config: CredentialConfig) -> LoadedCredential:
        """UnresolvedReference if a text cannot be read or is plainly not what it should be.

        SourceFailed if it could not be read this time.
        """
        if config.oauth is None:
            return await self.load_text(tenant_id, _key(config))
        texts = stored_texts(config)
        loaded = {stored.what: await self.load_text(tenant_id, stored) for stored in texts}
        require_texts_in_place(texts, loaded)
        token = loaded.get(TOKEN)
        return OAuthClient(
            client_id=loaded[CLIENT_ID],
            secret=loaded[CLIENT_SECRET],
            token=token if isinstance(token, Token) else None,
            sub=config.oauth.sub,
            organization=config.oauth.organization,
        )

    def fingerprint(self, credential: LoadedCredential) -> str:
        return fingerprint(credential, self.installation_key)

    async def load_text(self, tenant_id: str, stored: StoredText) -> Secret:
        """One text of a credential; raises as `load` does."""
        text = await resolve_credential_reference(
            stored.reference,
            tenant_id=tenant_id,
            environ=self.environ,
            command_seconds=self.command_seconds,
            replacing_seconds=self.replacing_seconds,
        )
        try:
            stored.require(text)
            secret = stored.kind(text)
        except CredentialError as problem:
            raise UnresolvedReference(f"{stored.reference}: {problem}") from None
        # Tokens are many, long, and new every hour: the redactor knows them by their shape and need not learn each one.
        if not has_known_shape(text):
            redactor.learn(secret)
        return secret


def stored_texts(config: CredentialConfig) -> list[StoredText]:
    """Every text that the credential consists of, except a token that is minted."""
    return [_key(config)] if config.oauth is None else _of_client(config.reference, config.oauth)


def require_texts_in_place(texts: list[StoredText], loaded: Mapping[str, Secret]) -> None:
    """UnresolvedReference for texts in each other's place; `loaded` are those that could be, by what they are."""
    try:
        require_in_place(loaded)
    except CredentialError as problem:
        references = ", ".join(stored.reference for stored in texts if stored.what in loaded)
        raise UnresolvedReference(f"{references}: {problem}") from None


def _key(config: CredentialConfig) -> StoredText:
    return StoredText("key", "key", config.reference, Secret, require_key)


def _of_client(secret_reference: str, oauth: OAuthConfig) -> list[StoredText]:
    client = [
        StoredText("client_id", CLIENT_ID, oauth.client_id, Secret, require_client_id),
        StoredText("client_secret", CLIENT_SECRET, secret_reference, Secret, require_client_secret),
    ]
    if oauth.token == MINT:
        return client
    return [*client, StoredText("token", TOKEN, oauth.token, Token, require_token)]
