"""Loads a credential from where the tenants file says it is kept, again for each check."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from checks.credential import OAuthClient, Secret, Token, fingerprint
from checks.errors import CredentialError
from checks.v3.stored_client import require_plausible
from monitor.config.secrets import resolve_credential_reference
from monitor.errors import UnresolvedReference
from monitor.redaction import has_known_shape, redactor
from monitor.tenants.file import MINT, CredentialConfig

LoadedCredential = Secret | OAuthClient
Kind = TypeVar("Kind", Secret, Token)


@dataclass(frozen=True, slots=True)
class CredentialLoader:
    """`command_seconds` is how long a `command:` may take to print a secret."""

    installation_key: bytes
    command_seconds: float
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    async def load(self, tenant_id: str, config: CredentialConfig) -> LoadedCredential:
        """UnresolvedReference if a reference cannot be resolved; SourceFailed if its command failed this time."""
        secret = await self.load_secret(tenant_id, config.reference, Secret)
        if config.oauth is None:
            return secret
        minted = config.oauth.token == MINT
        client = OAuthClient(
            client_id=await self.load_secret(tenant_id, config.oauth.client_id, Secret),
            secret=secret,
            token=None if minted else await self.load_secret(tenant_id, config.oauth.token, Token),
            sub=config.oauth.sub,
            organization=config.oauth.organization,
        )
        try:
            require_plausible(client)
        except CredentialError as problem:
            raise UnresolvedReference(str(problem)) from None
        return client

    def fingerprint(self, credential: LoadedCredential) -> str:
        return fingerprint(credential, self.installation_key)

    async def load_secret(self, tenant_id: str, reference: str, kind: Callable[[str], Kind]) -> Kind:
        """The secret or token behind one reference; raises as `load` does."""
        text = await resolve_credential_reference(
            reference, tenant_id=tenant_id, environ=self.environ, command_seconds=self.command_seconds
        )
        try:
            secret = kind(text)
        except CredentialError as problem:
            raise UnresolvedReference(f"{reference}: {problem}") from None
        # Tokens are many, long, and new every hour: the redactor knows them by their shape and need not learn each one.
        if not has_known_shape(text):
            redactor.learn(secret)
        return secret


def references(config: CredentialConfig) -> dict[str, tuple[str, type[Secret]]]:
    """For each field of the tenants file that holds a reference: the reference, and the type of what it points to."""
    if config.oauth is None:
        return {"key": (config.reference, Secret)}
    held = {} if config.oauth.token == MINT else {"token": (config.oauth.token, Token)}
    return {"client_id": (config.oauth.client_id, Secret), "client_secret": (config.reference, Secret), **held}
