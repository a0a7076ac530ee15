"""The ASGI application: the control API under `/_sandbox`, and Greenhouse everywhere else."""

from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.sandbox.control.api import control
from monitor.sandbox.control.requests import CONTROL_PATH
from monitor.sandbox.greenhouse.request import SandboxRequest
from monitor.sandbox.sandbox import Sandbox
from monitor.sandbox.server.responder import deliver

_CONTROL = CONTROL_PATH.encode("ascii")
_BODY_KEPT = 1024 * 1024  # a longer body is cut, so it is not JSON any more


def application(sandbox: Sandbox) -> ASGIApp:
    """One Greenhouse on one port. Starlette serves only the control API: its routing would halve the rate elsewhere."""
    control_app = control(sandbox)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        path: bytes = scope["raw_path"]
        if path == _CONTROL or path.startswith(_CONTROL + b"/"):
            await control_app(scope, receive, send)
            return
        body = await _body(receive)
        if body is not None:
            await deliver(sandbox.handle(_request(scope, body)), scope, receive, send)

    return serve


def _request(scope: Scope, body: bytes) -> SandboxRequest:
    # Not `path`, which is decoded: an encoded slash would split a segment.
    target: bytes = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return SandboxRequest(scope["method"], target.decode("latin-1"), headers, body)


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None if the client hung up before it was complete: such a request is not handled."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) < _BODY_KEPT:
            body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
