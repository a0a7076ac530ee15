"""To the OpenID provider and back."""

from http import HTTPStatus

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from monitor.web.auth.oidc import OidcProvider
from monitor.web.auth.oidc_claims import Attempt, OidcPerson, ProviderRefused, ProviderUnavailable
from monitor.web.auth.return_path import return_path
from monitor.web.auth.sign_in import SignIn
from monitor.web.auth.trusted_proxy import not_allowed
from monitor.web.errors import RequestRefused

log = structlog.get_logger()


class OidcPages:
    """`router` has the routes."""

    def __init__(self, sign_in: SignIn, provider: OidcProvider) -> None:
        self._sign_in = sign_in
        self._provider = provider
        self.router = APIRouter(include_in_schema=False)
        # A link, not a form: the policy of our pages would not let a form be redirected to the provider.
        self.router.add_api_route("/sign-in/oidc", self.leave, methods=["GET"])
        self.router.add_api_route("/sign-in/oidc/back", self.come_back, methods=["GET"])

    async def leave(self, request: Request, to: str = "/") -> Response:
        attempt = Attempt.new(return_path(to), self._sign_in.random)
        try:
            address = await self._provider.address(attempt)
        except ProviderUnavailable as problem:
            raise _unavailable(problem) from None
        answer = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        self._sign_in.attempt_cookie.write(request, answer, attempt.written())
        return answer

    async def come_back(self, request: Request) -> Response:
        attempt = Attempt.read(self._sign_in.attempt_cookie.read(request))
        person = await self._person(attempt, request)
        role = self._sign_in.roles.role_of(person.names)
        if role is None:
            raise not_allowed(person.name)
        agent, old = request.headers.get("User-Agent", ""), self._sign_in.session_cookie.read(request)
        async with self._sign_in.db.writing() as conn:
            session = await self._sign_in.sessions.begin(conn, person.name, role, agent, old)
        answer = RedirectResponse(return_path(attempt.to if attempt else "/"), HTTPStatus.SEE_OTHER)
        self._sign_in.session_cookie.write(request, answer, session)
        self._sign_in.attempt_cookie.clear(request, answer)
        return answer

    async def _person(self, attempt: Attempt | None, request: Request) -> OidcPerson:
        try:
            if attempt is None:
                raise ProviderRefused("this sign-in did not begin in this browser, or took too long")
            return await self._provider.person(attempt, request.query_params)
        except ProviderUnavailable as problem:
            raise _unavailable(problem) from None
        except ProviderRefused as problem:
            log.warning("sign_in_refused", problem=str(problem))
            raise RequestRefused(
                HTTPStatus.FORBIDDEN, "sign_in_refused", str(problem), "Begin again on the page /sign-in."
            ) from None


def _unavailable(problem: ProviderUnavailable) -> RequestRefused:
    log.error("sign_in_provider_unavailable", problem=str(problem))
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provider_unavailable",
        str(problem),
        "Try again in a minute. Meanwhile checks and notices go on, and whoever is signed in stays so.",
    )
