"""Sign-in at an OpenID provider: discovery, the code flow with PKCE, state and nonce, and the ID token's proof.

The only connections of this room. They take neither the proxy nor the CA bundle meant for Greenhouse, nor what the
environment says about proxies.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from monitor.config.addresses import issuer_address
from monitor.web.auth.oidc_claims import (
    Attempt,
    OidcClient,
    OidcPerson,
    ProviderRefused,
    ProviderUnavailable,
    completed_claims,
    person_of,
    proven_claims,
)

_SECONDS = 10
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")  # the last may be missing
_METADATA_FOR = timedelta(minutes=10)  # visitors who did not sign in yet can make us ask for it


class OidcProvider:
    def __init__(self, client: OidcClient, now: Callable[[], datetime]) -> None:
        self.client = client
        self._now = now
        self._known: tuple[datetime, Mapping[str, Any]] | None = None

    @property
    def host(self) -> str:
        """The provider's name for people."""
        return urlsplit(self.client.issuer).hostname or ""

    async def address(self, attempt: Attempt) -> str:
        """Where to send the browser; ProviderUnavailable if the provider cannot be asked."""
        async with self._http() as http:
            metadata = await self._metadata(http)
        return str(
            prepare_grant_uri(
                metadata["authorization_endpoint"],
                client_id=self.client.client_id,
                response_type="code",
                redirect_uri=self.client.redirect_uri,
                scope=self.client.scopes,
                state=attempt.state,
                nonce=attempt.nonce,
                code_challenge=create_s256_code_challenge(attempt.verifier),
                code_challenge_method="S256",
            )
        )

    async def person(self, attempt: Attempt, sent: Mapping[str, str]) -> OidcPerson:
        """Who signed in, by the parameters that the browser brought back; ProviderRefused unless all of it is right."""
        if sent.get("state") != attempt.state:
            raise ProviderRefused("this sign-in did not begin in this browser, or another one began since")
        if sent.get("iss", self.client.issuer) != self.client.issuer:
            raise ProviderRefused("the answer comes from another provider")
        if "code" not in sent:
            raise ProviderRefused("the provider signed nobody in")
        async with self._http() as http:
            metadata = await self._metadata(http)
            tokens = await self._tokens(http, metadata, sent["code"], attempt)
            keys = await http.json("GET", metadata["jwks_uri"])
            claims = proven_claims(self.client, tokens, keys, attempt, self._now())
            return person_of(await self._completed(http, metadata, tokens, claims), self.client.roles_claim)

    def _http(self) -> "_Http":
        return _Http(self._verify)

    @cached_property
    def _verify(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.client.ca_bundle:
            context.load_verify_locations(self.client.ca_bundle)
        return context

    async def _metadata(self, http: "_Http") -> Mapping[str, Any]:
        if self._known is None or not timedelta(0) <= self._now() - self._known[0] < _METADATA_FOR:
            address = f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration"
            metadata = await http.json("GET", address)
            self._check(metadata)
            self._known = self._now(), metadata
        return self._known[1]

    def _check(self, metadata: Mapping[str, Any]) -> None:
        if metadata.get("issuer") != self.client.issuer:
            raise ProviderUnavailable(
                "the provider calls itself by another address than HARVEST_MONITOR_OIDC_ISSUER: set that letter for "
                "letter"
            )
        for name in _ENDPOINTS if "userinfo_endpoint" in metadata else _ENDPOINTS[:-1]:
            try:
                issuer_address(str(metadata.get(name)))
            except ValueError:
                raise ProviderUnavailable(f"the provider's {name} is missing or no https address") from None

    async def _tokens(
        self, http: "_Http", metadata: Mapping[str, Any], code: str, attempt: Attempt
    ) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        # RFC 6749, 2.3.1: both parts are encoded like a form before they become a password.
        secret = (quote(self.client.client_id, safe=""), quote(self.client.client_secret, safe=""))
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            return await http.json("POST", metadata["token_endpoint"], data=form, auth=httpx.BasicAuth(*secret))
        form |= {"client_id": self.client.client_id, "client_secret": self.client.client_secret}
        return await http.json("POST", metadata["token_endpoint"], data=form)

    async def _completed(
        self, http: "_Http", metadata: Mapping[str, Any], tokens: Mapping[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        """Some providers keep addresses and groups out of ID tokens, and tell them at the userinfo endpoint."""
        endpoint, access = metadata.get("userinfo_endpoint"), tokens.get("access_token")
        if not endpoint or not access or {"email", self.client.roles_claim} <= claims.keys():
            return claims
        told = await http.json("GET", endpoint, headers={"Authorization": f"Bearer {access}"})
        return completed_claims(claims, told)


class _Http:
    """A client for one sign-in: no redirects, no cookies kept, one time limit for everything."""

    def __init__(self, verify: ssl.SSLContext) -> None:
        self._client = httpx.AsyncClient(verify=verify, trust_env=False, timeout=_SECONDS, follow_redirects=False)

    async def __aenter__(self) -> "_Http":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def json(self, method: str, address: str, **options: Any) -> Mapping[str, Any]:
        """The answer's object. A refusal (4xx) of what the browser brought is ProviderRefused, the rest Unavailable."""
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._client.request(method, address, **options)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as problem:
            raise ProviderUnavailable(f"the provider cannot be reached ({type(problem).__name__})") from None
        if method == "POST" and answer.status_code in (400, 403):
            raise ProviderRefused("the provider does not accept this sign-in's code")
        try:
            content = answer.json() if answer.status_code == 200 else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise ProviderUnavailable(f"the provider answers {answer.status_code} without what was asked for")
        return content
