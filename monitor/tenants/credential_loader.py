"""From where a credential is kept to the credential itself, fetched anew for each look."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from checks.credential import OAuthClient, Secret, Token, fingerprint
from checks.errors import CredentialError
from monitor.config.secrets import fetch
from monitor.errors import UnresolvedReference
from monitor.redaction import has_known_shape, redactor
from monitor.tenants.file import MINT, CredentialConfig

Opened = Secret | OAuthClient
Kind = TypeVar("Kind", Secret, Token)


@dataclass(frozen=True, slots=True)
class CredentialLoader:
    """`command_seconds` is how long a command may take to give a secret."""

    installation_key: bytes
    command_seconds: float
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    async def open(self, tenant_id: str, config: CredentialConfig) -> Opened:
        """UnresolvedReference where it can not be had; SourceFailed where a command failed to give it this time."""
        secret = await self.fetch(tenant_id, config.reference, Secret)
        if config.oauth is None:
            return secret
        minted = config.oauth.token == MINT
        return OAuthClient(
            client_id=await self.fetch(tenant_id, config.oauth.client_id, Secret),
            secret=secret,
            token=None if minted else await self.fetch(tenant_id, config.oauth.token, Token),
            sub=config.oauth.sub,
            organization=config.oauth.organization,
        )

    def fingerprint(self, opened: Opened) -> str:
        return fingerprint(opened, self.installation_key)

    async def fetch(self, tenant_id: str, reference: str, kind: Callable[[str], Kind]) -> Kind:
        """What stands behind one reference; raises as `open` does."""
        text = await fetch(reference, tenant_id=tenant_id, environ=self.environ, command_seconds=self.command_seconds)
        try:
            secret = kind(text)
        except CredentialError as problem:
            raise UnresolvedReference(f"{reference}: {problem}") from None
        # Tokens are many and long, and new every hour: one that is known by its shape need not be learned.
        if not has_known_shape(text):
            redactor.learn(secret)
        return secret


def references(config: CredentialConfig) -> dict[str, tuple[str, type[Secret]]]:
    """By the field of the tenants file: the reference, and what is to be behind it."""
    if config.oauth is None:
        return {"key": (config.reference, Secret)}
    held = {} if config.oauth.token == MINT else {"token": (config.oauth.token, Token)}
    return {"client_id": (config.oauth.client_id, Secret), "client_secret": (config.reference, Secret), **held}
