"""The part of the control that is for v3: clients, what is ticked for them, and tokens."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from pydantic import model_validator
from starlette.requests import Request
from starlette.responses import Response

from checks.catalogue.scopes import known, scope
from monitor.errors import ConfigurationError
from monitor.sandbox.clients import Client
from monitor.sandbox.control.requests import Body, Handlers, answer, moment, read
from monitor.sandbox.greenhouse.scopes import ticked
from monitor.sandbox.sandbox import CLIENT_LABEL, Sandbox


class _NewClient(Body):
    account: str
    label: str = CLIENT_LABEL
    scopes: str | list[str] = "gem"
    client_id: str | None = None
    secret: str | None = None
    grant: Literal["custom", "partner"] = "custom"
    role: str | None = None
    sub: str | None = None


class _WhichClient(Body):
    """`client` is the label; without it, the account's only client."""

    account: str
    client: str | None = None


class _WhichClients(Body):
    """As `_WhichClient`; without an account, that of each account."""

    account: str | None = None
    client: str | None = None


class _Ticked(_WhichClients):
    scopes: str | list[str]


class _SomeScopes(_WhichClients):
    scopes: list[str]


class _NewRole(_WhichClient):
    """`role` null means that of a service user, or of a Site Admin."""

    role: str | None

    @model_validator(mode="after")
    def _says_something(self) -> "_NewRole":
        if self.role is not None and not self.role.strip():
            raise ValueError("role: name one, or null")
        return self


_WhichClientsT = TypeVar("_WhichClientsT", bound=_WhichClients)


class ClientApi:
    """The handlers; each changes or shows clients of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def shown(self) -> Handlers:
        return {"/scopes": self.scopes}

    def done(self) -> Handlers:
        return {
            "/clients": self.add,
            "/clients/grant": self.grant,
            "/clients/revoke": self.revoke,
            "/clients/scopes": self.grant_only,
            "/clients/kill": self.kill,
            "/clients/enable": self.enable,
            "/clients/role": self.role,
            "/clients/rotate": self.rotate,
            "/clients/token": self.token,
            "/clients/revoke-tokens": self.revoke_tokens,
        }

    async def scopes(self, request: Request) -> Response:
        gem, eeoc = ticked("gem"), ticked("gem+eeoc")
        named = [{"name": each.name, "group": each.group, "title": each.title} for each in map(scope, known())]
        return answer([each | {"gem": each["name"] in gem, "eeoc": each["name"] in eeoc - gem} for each in named])

    async def add(self, request: Request) -> Response:
        body = await read(request, _NewClient)
        return answer(shown(self._sandbox.add_client(**body.model_dump())), status=201)

    async def grant(self, request: Request) -> Response:
        body, clients = await self._clients_of(request, _SomeScopes)
        return _done(clients, lambda client: client.grant_scope(*body.scopes))

    async def revoke(self, request: Request) -> Response:
        body, clients = await self._clients_of(request, _SomeScopes)
        return _done(clients, lambda client: client.revoke_scope(*body.scopes))

    async def grant_only(self, request: Request) -> Response:
        body, clients = await self._clients_of(request, _Ticked)
        return _done(clients, lambda client: client.grant_only(body.scopes))

    async def kill(self, request: Request) -> Response:
        _, clients = await self._clients_of(request, _WhichClients)
        return _done(clients, Client.kill)

    async def enable(self, request: Request) -> Response:
        _, clients = await self._clients_of(request, _WhichClients)
        return _done(clients, Client.enable)

    async def role(self, request: Request) -> Response:
        body = await read(request, _NewRole)
        client = self._sandbox.client(body.account, body.client)
        client.role = body.role
        return answer(shown(client))

    async def rotate(self, request: Request) -> Response:
        body = await read(request, _WhichClient)
        client = self._sandbox.client(body.account, body.client)
        client.rotate_secret()
        return answer(shown(client))

    async def token(self, request: Request) -> Response:
        body = await read(request, _WhichClient)
        client = _fit_for_a_token(self._sandbox.client(body.account, body.client))
        token = client.new_token()
        return answer(
            {"account": client.account.name, "label": client.label, "token": token.text}
            | {"expires_at": moment(token.expires_at)}
        )

    async def revoke_tokens(self, request: Request) -> Response:
        _, clients = await self._clients_of(request, _WhichClients)
        return _done(clients, Client.revoke_tokens)

    async def _clients_of(self, request: Request, model: type[_WhichClientsT]) -> tuple[_WhichClientsT, list[Client]]:
        body = await read(request, model)
        return body, self._sandbox.clients(body.account, body.client)


def _done(clients: list[Client], change: Callable[[Client], None]) -> Response:
    """The same change to each client, and how they stand then."""
    for client in clients:
        change(client)
    return answer({"keys": [], "clients": [shown(client) for client in clients]})


def _fit_for_a_token(client: Client) -> Client:
    if client.dead or not client.scopes:
        problem = "is disabled" if client.dead else "has no scope"
        raise ConfigurationError(f"client {client.label!r} of account {client.account.name} {problem}: no token for it")
    return client


def shown(client: Client) -> dict[str, Any]:
    """A client as the control shows it: with its secret, as keys are."""
    return {
        "account": client.account.name,
        "label": client.label,
        "client_id": client.client_id,
        "secret": client.secret,
        "grant": client.grant,
        "role": client.role,
        "dead": client.dead,
        "ticked": len(client.scopes),
    }
