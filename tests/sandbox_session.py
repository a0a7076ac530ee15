"""Requests to a sandbox without a network: one account with one key, and writes that take effect."""

import json
from dataclasses import dataclass
from typing import Any

from monitor.sandbox.greenhouse.accounts import Account
from monitor.sandbox.greenhouse.endpoints import Endpoint
from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import LoggedRequest
from monitor.sandbox.greenhouse.responses import Reply
from monitor.sandbox.sandbox import Sandbox

UNLIMITED = 10**6


class Clock:
    """A clock that moves only when it is set."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class SandboxSession:
    sandbox: Sandbox
    account: Account
    key: Key

    @property
    def user(self) -> str:
        return str(self.account.records.ids("users")[0])

    def send(self, line: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """The answer to `METHOD target` with this key; `body` is sent as JSON, or as it is if it is text."""
        method, target = line.split(" ", 1)
        sent = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        return self.sandbox.handle(
            SandboxRequest(method, target, {"authorization": basic(self.key.text)} | (headers or {}), sent)
        ).reply

    def write(self, line: str, body: Any = None) -> Reply:
        """The answer to a write on behalf of a user with every right."""
        return self.send(line, body, {"on-behalf-of": self.user})

    def complete(self, endpoint: Endpoint) -> tuple[str, dict[str, Any]]:
        """A request line with ids of existing records, and a body with every required field."""
        target = endpoint.path
        for placeholder, collection in endpoint.refers:
            target = target.replace(f"{{{placeholder}}}", self._name_of_a_record(placeholder, collection, endpoint), 1)
        if endpoint.query_needs:
            target += "?" + "&".join(f"{name}=x" for name in endpoint.query_needs)
        body: dict[str, Any] = dict.fromkeys(endpoint.needs, "x") | {name: {"id": 7} for name in endpoint.objects}
        if "job_id" in body:
            body["job_id"] = self.account.records.ids("jobs")[0]
        return f"{endpoint.method} {target}", body

    def _name_of_a_record(self, placeholder: str, collection: str, endpoint: Endpoint) -> str:
        """The first record of its collection; for unreject the last application, which is rejected."""
        if placeholder == "field_type":
            return "candidate"
        record = self.account.records.visible(collection)[-1 if endpoint.path.endswith("/unreject") else 0]
        return str(record["token" if placeholder == "token" else "id"])

    def last(self) -> LoggedRequest:
        return self.sandbox.request_log.entries()[-1]

    def changes(self) -> list[str]:
        return [change.text for change in self.sandbox.request_log.changes()]


def sandbox_session(
    grants: str | list[str] = "all", clock: Clock | None = None, marker: str = "", **settings: Any
) -> SandboxSession:
    """A sandbox with the account `acme`, without a rate limit unless one is set."""
    sandbox = Sandbox(clock=clock or Clock(), marker=marker)
    account = sandbox.add_account("acme", **{"limit": UNLIMITED} | settings)
    return SandboxSession(sandbox, account, sandbox.add_key("acme", grants))


def zeroed(endpoint: Endpoint) -> str:
    """The request line with 0 in place of every id."""
    segments = ["0" if segment.startswith("{") else segment for segment in endpoint.path.split("/")]
    return f"{endpoint.method} {'/'.join(segments)}"


def content(reply: Reply) -> Any:
    return json.loads(reply.body)


def header(reply: Reply, name: str) -> str | None:
    return next((value.decode() for key, value in reply.headers if key.decode().lower() == name.lower()), None)
