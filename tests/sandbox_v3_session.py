"""Requests to a sandbox's auth server and v3 API without a network: one account with one client."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from monitor.sandbox.greenhouse.accounts import Account
from monitor.sandbox.greenhouse.clients import Client
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import LoggedRequest
from monitor.sandbox.greenhouse.responses import Reply
from monitor.sandbox.sandbox import Sandbox
from tests.sandbox_session import UNLIMITED, Clock, content

FORM = "application/x-www-form-urlencoded"
CREDENTIALS = {"grant_type": "client_credentials"}


@dataclass
class SandboxV3Session:
    sandbox: Sandbox
    account: Account
    client: Client
    clock: Clock

    def post(self, target: str, form: dict[str, str], authorization: str | None = "client") -> Reply:
        """The answer to a form. Sent with this client's Authorization, another one, or none."""
        shown = basic(self.client.client_id, self.client.secret) if authorization == "client" else authorization
        headers = {"content-type": FORM} | ({} if shown is None else {"authorization": shown})
        return self.sandbox.handle(SandboxRequest("POST", target, headers, urlencode(form).encode())).reply

    def mint(self, **form: str) -> dict[str, Any]:
        """What `/token` answers this client."""
        answer: dict[str, Any] = content(self.post("/token", CREDENTIALS | form))
        return answer

    def introspect(self, token: str) -> dict[str, Any]:
        answer: dict[str, Any] = content(self.post("/introspect", {"token": token, "token_type_hint": "access_token"}))
        return answer

    def send(self, line: str, token: str | None, body: bytes = b"") -> Reply:
        """The answer to `METHOD target` with this token."""
        method, target = line.split(" ", 1)
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self.sandbox.handle(SandboxRequest(method, target, headers, body)).reply

    def last(self) -> LoggedRequest:
        return self.sandbox.request_log.entries()[-1]

    def changes(self) -> list[str]:
        return [change.text for change in self.sandbox.request_log.changes()]


def sandbox_v3_session(
    scopes: str | list[str] = "all", *, marker: str = "", clock: Clock | None = None, **client: Any
) -> SandboxV3Session:
    """A sandbox with the account `acme`, without a rate limit, and one client."""
    clock = clock or Clock()
    sandbox = Sandbox(clock=clock, marker=marker)
    account = sandbox.add_account("acme", v3_limit=UNLIMITED)
    return SandboxV3Session(sandbox, account, sandbox.add_client("acme", scopes, **client), clock)
