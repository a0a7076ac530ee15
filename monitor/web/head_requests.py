"""HEAD is answered as GET is, without the body: monitors and load balancers ask that way."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BY_GET_ONLY = "/sign-in/oidc"
"""Below it a request is part of signing in at a provider: a link preview that asks with HEAD must not use it up."""


def head_as_get(application: ASGIApp) -> ASGIApp:
    """The server leaves out the body; here the application is spared making all of it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_BY_GET_ONLY):
            await application(scope, receive, send)
        elif scope["method"] == "HEAD":
            await application({**scope, "method": "GET"}, receive, _without_body(send))
        else:
            await application(scope, receive, _with_head_allowed(send))

    return serve


def _without_body(send: Send) -> Send:
    """Ends with the headers; `receive` then says that nobody listens any more, which ends a stream."""
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_head


def _with_head_allowed(send: Send) -> Send:
    async def send_allowing(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            headers = MutableHeaders(scope=message)
            allowed = headers.get("allow", "").split(", ")
            if "GET" in allowed and "HEAD" not in allowed:
                headers["allow"] = ", ".join(sorted([*allowed, "HEAD"]))
        await send(message)

    return send_allowing
