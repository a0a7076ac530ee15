"""The pages of signing in and out; the provider's are in oidc_pages."""

import re
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from monitor.config.settings import SignInMode
from monitor.web.auth.return_path import return_path
from monitor.web.auth.session_actions import LINK_VALID_FOR
from monitor.web.auth.sign_in import SignIn
from monitor.web.errors import RequestRefused
from monitor.web.templating import page

_LINK_IN_TEXT = re.compile(r"hml_[A-Za-z0-9_-]+")


class SignInPages:
    """`router` has the routes."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/sign-in", self.choose, methods=["GET", "HEAD"])
        self.router.add_api_route("/sign-out", self.sign_out, methods=["POST"])
        if sign_in.mode is SignInMode.LINK:
            self.router.add_api_route("/sign-in/link/{secret}", self.show_link, methods=["GET", "HEAD"])
            self.router.add_api_route("/sign-in/link", self.use_link, methods=["POST"])

    async def choose(self, request: Request, to: str = "/") -> HTMLResponse:
        """How to sign in."""
        return page(
            request,
            "sign_in.html",
            mode=self._sign_in.mode,
            to=return_path(to),
            provider=self._sign_in.oidc.host if self._sign_in.oidc else None,
            minutes=int(LINK_VALID_FOR.total_seconds() // 60),
        )

    async def show_link(self, request: Request, secret: str) -> HTMLResponse:
        """What the link would do. Only its button does it: mail scanners and previews open links, too."""
        holder = await self._sign_in.links.holder(secret)
        if holder is None:
            raise _link_gone()
        return page(request, "sign_in_link.html", holder=holder, secret=secret)

    async def use_link(self, request: Request) -> Response:
        """Sign in by a link's button, or by a link that was pasted."""
        async with request.form(max_files=0) as form:
            link, to = str(form.get("link", "")), str(form.get("to", "/"))
        found = _LINK_IN_TEXT.search(link)
        agent, old = request.headers.get("User-Agent", ""), self._sign_in.session_cookie.read(request)
        session = await self._sign_in.links.use(found[0], agent, old) if found else None
        if session is None:
            raise _link_gone()
        answer = RedirectResponse(return_path(to), HTTPStatus.SEE_OTHER)
        self._sign_in.session_cookie.write(request, answer, session)
        return answer

    async def sign_out(self, request: Request) -> Response:
        await self._sign_in.sessions.end(self._sign_in.session_cookie.read(request))
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        self._sign_in.session_cookie.clear(request, answer)
        return answer


def _link_gone() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.GONE,
        "link_gone",
        "this link was used, has expired, or is not whole",
        "Get a new one: harvest-monitor web link. It works once, for "
        f"{int(LINK_VALID_FOR.total_seconds() // 60)} minutes.",
    )
