"""The part of the control API for v3: clients, what is ticked for them, and tokens."""

from typing import Literal

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from checks.catalogue.scopes import known, scope
from monitor.errors import ConfigurationError
from monitor.sandbox.control.credential_api import (
    Which,
    WhichNames,
    WhichOne,
    WhichSet,
    changing,
    shown_client,
    ticking,
)
from monitor.sandbox.control.requests import Body, Handlers, answer, iso_time, read
from monitor.sandbox.greenhouse.clients import Client
from monitor.sandbox.greenhouse.scopes import scope_names
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


class _WhichClient(WhichOne):
    label: str | None = Field(None, alias="client")


class _WhichClients(Which):
    label: str | None = Field(None, alias="client")


class _ClientScopes(WhichNames):
    label: str | None = Field(None, alias="client")
    names: list[str] = Field(alias="scopes")


class _ClientScopeSet(WhichSet):
    label: str | None = Field(None, alias="client")
    names: str | list[str] = Field(alias="scopes")


class _NewRole(_WhichClient):
    """`role` null means that it acts for a service user, or for a Site Admin."""

    role: str | None

    @model_validator(mode="after")
    def _not_blank(self) -> "_NewRole":
        if self.role is not None and not self.role.strip():
            raise ValueError("role: name one, or null")
        return self


class ClientApi:
    """Each handler changes or shows clients of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def gets(self) -> Handlers:
        return {"/scopes": self.scopes}

    def posts(self) -> Handlers:
        sandbox, clients = self._sandbox, self._sandbox.clients
        grant, revoke, scopes = ticking(sandbox, clients, _ClientScopes, _ClientScopeSet)
        return {
            "/clients": self.add,
            "/clients/grant": grant,
            "/clients/revoke": revoke,
            "/clients/scopes": scopes,
            "/clients/kill": changing(sandbox, clients, _WhichClients, lambda each, _: each.kill()),
            "/clients/enable": changing(sandbox, clients, _WhichClients, lambda each, _: each.enable()),
            "/clients/role": self.role,
            "/clients/rotate": self.rotate,
            "/clients/token": self.token,
            "/clients/revoke-tokens": changing(sandbox, clients, _WhichClients, lambda each, _: each.revoke_tokens()),
        }

    async def scopes(self, request: Request) -> Response:
        gem, eeoc = scope_names("gem"), scope_names("gem+eeoc")
        named = [{"name": each.name, "group": each.group, "title": each.title} for each in map(scope, known())]
        return answer([each | {"gem": each["name"] in gem, "eeoc": each["name"] in eeoc - gem} for each in named])

    async def add(self, request: Request) -> Response:
        body = await read(request, _NewClient)
        return answer(shown_client(self._sandbox.add_client(**body.model_dump())), status=201)

    async def role(self, request: Request) -> Response:
        body = await read(request, _NewRole)
        client = self._sandbox.client(body.account, body.label)
        client.role = body.role
        return answer(shown_client(client))

    async def rotate(self, request: Request) -> Response:
        body = await read(request, _WhichClient)
        client = self._sandbox.client(body.account, body.label)
        client.rotate_secret()
        return answer(shown_client(client))

    async def token(self, request: Request) -> Response:
        body = await read(request, _WhichClient)
        client = self._sandbox.client(body.account, body.label)
        _require_usable(client)
        token = client.new_token()
        return answer(
            {
                "account": client.account.name,
                "label": client.label,
                "token": token.text,
                "expires_at": iso_time(token.expires_at),
            }
        )


def _require_usable(client: Client) -> None:
    """Greenhouse issues no token to a client that is disabled or has no scope."""
    if client.dead or not client.ticked:
        problem = "is disabled" if client.dead else "has no scope"
        raise ConfigurationError(
            f"client {client.label!r} of account {client.account.name} {problem}: it gets no token"
        )
