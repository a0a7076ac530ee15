"""An OpenID provider over real HTTP: it signs ID tokens, checks PKCE, client and redirect, and can misbehave."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from monitor.web.serve import serving

CLIENT_ID = "harvest monitor"
CLIENT_SECRET = "c4nary:client/secret+1"
REDIRECT_URI = "http://monitor.example/sign-in/oidc/back"


@cache
def rsa_key(number: int = 0) -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, parameters={"kid": f"key-{number}", "use": "sig"}, auto_kid=False)


@dataclass
class OpenIdProvider:
    """`claims` change what the ID token says, None takes one away; `sign` makes the token of header and claims."""

    url: str = ""
    now: Callable[[], float] = lambda: 0.0
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Response] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    keys: list[jwk.RSAKey] = field(default_factory=lambda: [rsa_key()])
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def approve(self, address: str) -> dict[str, str]:
        """What somebody brings back who was sent to this address and signed in."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/authorize"
        sent = dict(parse_qsl(parts.query))
        assert (sent["response_type"], sent["client_id"]) == ("code", CLIENT_ID)
        assert sent["redirect_uri"] == REDIRECT_URI
        assert sent["code_challenge_method"] == "S256"
        assert "openid" in sent["scope"].split()
        code = f"c4nary-code-{len(self._codes)}"
        self._codes[code] = sent
        return {"code": code, "state": sent["state"], "iss": self.url}

    def app(self) -> Starlette:
        routes = {
            "/.well-known/openid-configuration": self._discovery,
            "/keys": self._keys,
            "/token": self._token,
            "/userinfo": self._userinfo,
        }
        return Starlette(
            routes=[Route(path, self._counted(answer), methods=["GET", "POST"]) for path, answer in routes.items()]
        )

    def _counted(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def counted(request: Request) -> Response:
            self.asked.append(request.url.path)
            return self.answers.get(request.url.path) or await answer(request)

        return counted

    async def _discovery(self, request: Request) -> Response:
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **({} if self.userinfo is None else {"userinfo_endpoint": f"{self.url}/userinfo"}),
        }
        return JSONResponse(found | self.metadata)

    async def _keys(self, request: Request) -> Response:
        encryption = {"kty": "RSA", "use": "enc", "kid": "other", "n": "x", "e": "AQAB"}
        unknown = {"kty": "AKP", "kid": "key-9", "alg": "ML-DSA-44"}
        return JSONResponse({"keys": [encryption, unknown, *(key.as_dict(private=False) for key in self.keys)]})

    async def _token(self, request: Request) -> Response:
        form = dict(await request.form())
        sent = self._codes.pop(str(form.get("code")), None)
        challenge = base64.urlsafe_b64encode(sha256(str(form.get("code_verifier")).encode()).digest()).rstrip(b"=")
        if sent is None or challenge.decode() != sent["code_challenge"] or form.get("redirect_uri") != REDIRECT_URI:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if self._client(request, form) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"token_type": "Bearer", "access_token": "c4nary-access", "id_token": self._id_token(sent)})

    def _client(self, request: Request, form: dict[str, Any]) -> tuple[str, str]:
        if "client_secret" in form:
            return str(form["client_id"]), str(form["client_secret"])
        name, _, secret = (
            base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        )
        return unquote(name), unquote(secret)

    def _id_token(self, sent: dict[str, str]) -> str:
        now = int(self.now())
        claims = {"iss": self.url, "sub": "u-1", "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": sent["nonce"]}
        claims |= {"email": "dana@vendor.example", "email_verified": True, "groups": ["staff"]}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return (self.sign or signed)(claims)

    async def _userinfo(self, request: Request) -> Response:
        if request.headers.get("Authorization") != "Bearer c4nary-access":
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.userinfo)


def signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "key-0"}, claims, rsa_key())


@asynccontextmanager
async def openid_provider() -> AsyncIterator[OpenIdProvider]:
    provider = OpenIdProvider()
    async with serving(provider.app(), "127.0.0.1", 0) as url:
        provider.url = url
        yield provider
