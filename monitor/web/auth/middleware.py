"""Before every page and every call of the API: bounds, who it is, where it comes from; and headers on every answer."""

from contextlib import suppress
from http import HTTPStatus

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.config.settings import SignInMode
from monitor.errors import StoreError
from monitor.web.auth.cross_origin import SAFE_METHODS, refuse_cross_origin
from monitor.web.auth.identity import Identity, IdentitySource, not_signed_in
from monitor.web.auth.request_bounds import refuse_out_of_bounds
from monitor.web.auth.return_path import SIGN_IN, path_of, return_path, sign_in_path
from monitor.web.auth.security_headers import with_security_headers
from monitor.web.auth.sign_in import SignIn
from monitor.web.errors import RequestRefused, database_away, is_api, refusal_answer
from monitor.web.templating import page

SIGN_OUT = "/sign-out"
_OPEN = frozenset({"/healthz", "/readyz", "/metrics", SIGN_IN, SIGN_OUT})
_OPEN_BELOW = ("/static/", f"{SIGN_IN}/")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def is_open(path: str) -> bool:
    """Whether everybody may ask for it."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


class SignInMiddleware:
    """The outermost layer, so that no answer leaves without its headers, an unexpected error's neither."""

    def __init__(self, app: ASGIApp, sign_in: SignIn) -> None:
        self._app = app
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there are no web sockets here, and nothing to do at the start
            return
        request = Request(scope, receive)
        send = with_security_headers(send, scope["path"], https=self._sign_in.https)
        with suppress(ClientDisconnect):  # nobody is there to be answered, and it is no fault of ours
            answer = await self._answer(request)
            await (answer or self._app)(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """What is answered in the place of the application; None lets the request through."""
        request.state.identity = None
        try:
            refuse_out_of_bounds(request)
            return await self._admit(request)
        except RequestRefused as refused:
            return refusal_answer(request, refused)
        except StoreError as problem:
            return refusal_answer(request, database_away(problem))

    async def _admit(self, request: Request) -> Response | None:
        path = request.scope["path"]  # not `request.url`, which is made with the client's header Host
        identity = None if is_open(path) else await self._sign_in.identify(request)
        if identity is None and is_api(path):
            raise not_signed_in()
        if not _by_token(identity):
            refuse_cross_origin(request, self._sign_in.public_url)
        request.state.identity = identity
        return None if identity or is_open(path) else await self._ask_to_sign_in(request)

    async def _ask_to_sign_in(self, request: Request) -> Response:
        if self._sign_in.mode is SignInMode.PROXY:
            return refusal_answer(request, _no_proxy())
        if request.method in SAFE_METHODS:
            return RedirectResponse(sign_in_path(request), HTTPStatus.SEE_OTHER)
        if request.headers.get("Content-Type", "").startswith(_FORMS):
            return await _form_kept(request)
        raise not_signed_in()


def _by_token(identity: Identity | None) -> bool:
    return identity is not None and identity.source is IdentitySource.TOKEN


async def _form_kept(request: Request) -> Response:
    """Nothing is lost and nothing is done: the page holds what was sent, to be sent again by its reader's hand.

    It is shown for forms of our own pages only, since others were refused before.
    """
    try:
        async with request.form(max_files=0) as form:
            fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    except MultiPartException:  # broken, or with files: no form of ours
        raise not_signed_in() from None
    return page(
        request,
        "signed_out_form.html",
        status_code=HTTPStatus.UNAUTHORIZED,
        action=return_path(path_of(request)),
        fields=fields,
        sign_in=SIGN_IN,
    )


def _no_proxy() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.UNAUTHORIZED,
        "not_signed_in",
        "people sign in at the proxy before this service, and this request did not come from there with a name",
        "Open the address of the proxy. If this is it: its address must be among HARVEST_MONITOR_TRUSTED_PROXIES, and "
        "it must send the header that HARVEST_MONITOR_PROXY_USER_HEADER names.",
    )
