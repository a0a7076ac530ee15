"""The page of sessions: one's own; operators see everybody's."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from monitor.web.auth import session_actions
from monitor.web.auth.identity import Identity, viewer
from monitor.web.auth.role import AccessRole
from monitor.web.auth.session_actions import Whose
from monitor.web.auth.sign_in import SignIn
from monitor.web.context import reading
from monitor.web.errors import RequestRefused
from monitor.web.templating import page

Viewer = Annotated[Identity, Depends(viewer)]


class SessionPages:
    """`router` has the routes."""

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/sessions", self.show, methods=["GET", "HEAD"])
        self.router.add_api_route("/sessions/revoke", self.revoke, methods=["POST"])

    async def show(self, request: Request, identity: Viewer) -> HTMLResponse:
        now = self._sign_in.now()
        async with reading(request):  # what the frame of every page shows
            found = await session_actions.listing(self._sign_in.db, now, _only_own(identity))
        return page(request, "sessions.html", identity=identity, sessions=found)

    async def revoke(self, identity: Viewer, session: Annotated[str, Form(pattern="^[0-9a-f]{1,64}$")]) -> Response:
        db, now = self._sign_in.db, self._sign_in.now()
        if not await session_actions.revoke(db, session, identity.who, now, _only_own(identity)):
            raise RequestRefused(
                HTTPStatus.NOT_FOUND,
                "no_such_session",
                "there is no such session, or it is not yours: nothing was done",
                "It may have ended by itself; open the page /sessions anew.",
            )
        return RedirectResponse("/sessions", HTTPStatus.SEE_OTHER)


def _only_own(identity: Identity) -> Whose | None:
    return None if identity.role is AccessRole.OPERATOR else (identity.name, identity.source)
