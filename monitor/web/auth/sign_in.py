"""The wired parts of sign-in, as the settings say."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request

from monitor.clock import utc_now
from monitor.config.settings import Settings, SignInMode
from monitor.store.database import Database
from monitor.web.auth.cookies import Cookie
from monitor.web.auth.identity import Identity, IdentitySource
from monitor.web.auth.links import Links
from monitor.web.auth.oidc import OidcProvider
from monitor.web.auth.oidc_claims import OidcClient
from monitor.web.auth.role import RolePolicy
from monitor.web.auth.secret import RandomBytes, SecretKind
from monitor.web.auth.sessions import SessionLimits, Sessions
from monitor.web.auth.tokens import ApiTokens
from monitor.web.auth.trusted_networks import TrustedNetworks
from monitor.web.auth.trusted_proxy import TrustedProxy
from monitor.web.errors import is_api

ATTEMPT_LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SignIn:
    """`oidc` and `proxy` are there in their modes only."""

    mode: SignInMode
    public_url: str | None
    https: bool
    db: Database
    now: Callable[[], datetime]
    random: RandomBytes
    roles: RolePolicy
    sessions: Sessions
    links: Links
    tokens: ApiTokens
    session_cookie: Cookie
    attempt_cookie: Cookie
    oidc: OidcProvider | None
    proxy: TrustedProxy | None
    trusted_networks: TrustedNetworks

    @classmethod
    def of(
        cls,
        settings: Settings,
        db: Database,
        now: Callable[[], datetime] = utc_now,
        random: RandomBytes = secrets.token_bytes,
    ) -> "SignIn":
        mode = settings.sign_in
        https = (settings.public_url or "").startswith("https://")
        roles = RolePolicy.of(settings.operators, settings.viewers)
        trusted = TrustedNetworks.of(settings.trusted_proxies or ())
        limits = SessionLimits(settings.session_idle, settings.session_longest)
        sessions = Sessions(db, limits, IdentitySource(mode), now, random)
        return cls(
            mode=mode,
            public_url=settings.public_url,
            https=https,
            db=db,
            now=now,
            random=random,
            roles=roles,
            sessions=sessions,
            links=Links(db, sessions, now),
            tokens=ApiTokens(db, now),
            session_cookie=Cookie("harvest_monitor", limits.longest, https),
            attempt_cookie=Cookie("harvest_monitor_sign_in", ATTEMPT_LASTS, https),
            oidc=_oidc(settings, now) if mode is SignInMode.OIDC else None,
            proxy=_proxy(settings, roles, trusted) if mode is SignInMode.PROXY else None,
            trusted_networks=trusted,
        )

    async def identify(self, request: Request) -> Identity | None:
        """Who sends the request; RequestRefused for a token that is not in force, or a proxy that names nobody."""
        token = _api_token(request)
        if token is not None:
            return await self.tokens.find(token)
        if self.proxy is not None:
            return self.proxy.identify(request)
        return await self.sessions.find(self.session_cookie.read(request))


def _api_token(request: Request) -> str | None:
    """Other schemes and tokens are not ours: a proxy may add its own."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    ours = is_api(request.scope["path"]) and scheme.lower() == "bearer" and value.startswith(SecretKind.API_TOKEN)
    return value.strip() if ours else None


def _oidc(settings: Settings, now: Callable[[], datetime]) -> OidcProvider:
    secret = settings.oidc_client_secret
    client = OidcClient(
        issuer=settings.oidc_issuer or "",
        client_id=settings.oidc_client_id or "",
        client_secret=secret.get_secret_value() if secret else "",
        scopes=settings.oidc_scopes,
        roles_claim=settings.oidc_roles_claim,
        redirect_uri=f"{settings.public_url}/sign-in/oidc/back",
        ca_bundle=str(settings.oidc_ca_bundle) if settings.oidc_ca_bundle else None,
    )
    return OidcProvider(client, now)


def _proxy(settings: Settings, roles: RolePolicy, trusted: TrustedNetworks) -> TrustedProxy:
    return TrustedProxy(trusted, settings.proxy_user_header, settings.proxy_groups_header, roles)
