"""The part of the control API for keys, and for whatever opens an account as a whole."""

from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from monitor.sandbox.control.credential_api import Which, WhichNames, WhichOne, WhichSet, shown, shown_key, ticking
from monitor.sandbox.control.requests import Body, Handler, Handlers, answer, read
from monitor.sandbox.greenhouse.credentials import SandboxCredential
from monitor.sandbox.sandbox import KEY_LABEL, Sandbox


class _NewKey(Body):
    account: str
    label: str = KEY_LABEL
    grants: str | list[str] = "all"
    text: str | None = None


class _WhichKey(WhichOne):
    label: str | None = Field(None, alias="key")


class _WhichKeys(Which):
    label: str | None = Field(None, alias="key")


class _KeyEndpoints(WhichNames):
    label: str | None = Field(None, alias="key")
    names: list[str] = Field(alias="endpoints")


class _KeyGrants(WhichSet):
    label: str | None = Field(None, alias="key")
    names: str | list[str] = Field(alias="grants")


class KeyApi:
    """Each handler changes or shows keys of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def posts(self) -> Handlers:
        grant, revoke, grants = ticking(self._sandbox, self._sandbox.keys, _KeyEndpoints, _KeyGrants)
        return {
            "/keys": self.add,
            "/grant": grant,
            "/revoke": revoke,
            "/grants": grants,
            "/kill": self._switching(SandboxCredential.kill),
            "/enable": self._switching(SandboxCredential.enable),
            "/rotate": self.rotate,
        }

    async def add(self, request: Request) -> Response:
        body = await read(request, _NewKey)
        key = self._sandbox.add_key(body.account, body.grants, label=body.label, text=body.text)
        return answer(shown_key(key), status=201)

    async def rotate(self, request: Request) -> Response:
        body = await read(request, _WhichKey)
        return answer(shown_key(self._sandbox.rotate(body.account, body.label)))

    def _switching(self, switch: Callable[[SandboxCredential], None]) -> Handler:
        async def call(request: Request) -> Response:
            selected = self._keys_or_clients(await read(request, _WhichKeys))
            for each in selected:
                switch(each)
            return answer(shown(selected))

        return call

    def _keys_or_clients(self, which: _WhichKeys) -> list[SandboxCredential]:
        """Keys; but if none is named, the client of an account without keys."""
        sandbox = self._sandbox
        accounts = sandbox.accounts.values() if which.account is None else [sandbox.account(which.account)]
        keyless = [each for each in accounts if sandbox.clients.of(each) and not sandbox.keys.of(each)]
        clients = [] if which.label is not None else [sandbox.clients.one(each) for each in keyless]
        if clients and which.account is not None:
            return [*clients]
        return [*sandbox.select(sandbox.keys, which.account, which.label), *clients]
