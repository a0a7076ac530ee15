"""What the control API does to keys and clients alike: which ones a body names, how they change, how they are shown."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from monitor.sandbox.control.requests import Body, Handler, answer, read
from monitor.sandbox.greenhouse.clients import Client
from monitor.sandbox.greenhouse.credentials import CredentialDirectory, CredentialT, SandboxCredential
from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.sandbox import Sandbox


class WhichOne(Body):
    """One key or client of an account; the label may be left out if the account has only one."""

    account: str
    label: str | None = None


class Which(Body):
    """As `WhichOne`; without an account, one of each account."""

    account: str | None = None
    label: str | None = None


class WhichNames(Which):
    names: list[str]


class WhichSet(Which):
    """`names` is a list, or a word such as `gem`."""

    names: str | list[str]


WhichT = TypeVar("WhichT", bound=Which)


def changing(
    sandbox: Sandbox,
    directory: CredentialDirectory[CredentialT],
    model: type[WhichT],
    change: Callable[[CredentialT, WhichT], object],
) -> Handler:
    """A call that changes every key or client that its body names in the same way, and then shows them."""

    async def call(request: Request) -> Response:
        body = await read(request, model)
        selected = sandbox.select(directory, body.account, body.label)  # may refuse: before anything changes
        for each in selected:
            change(each, body)
        return answer(shown(selected))

    return call


def ticking(
    sandbox: Sandbox,
    directory: CredentialDirectory[CredentialT],
    names: type[WhichNames],
    whole_set: type[WhichSet],
) -> tuple[Handler, Handler, Handler]:
    """The calls that tick, untick, and tick exactly these."""
    return (
        changing(sandbox, directory, names, lambda each, body: each.tick(*body.names)),
        changing(sandbox, directory, names, lambda each, body: each.untick(*body.names)),
        changing(sandbox, directory, whole_set, lambda each, body: each.tick_only(body.names)),
    )


def shown(credentials: Iterable[SandboxCredential]) -> dict[str, Any]:
    credentials = list(credentials)
    return {
        "keys": [shown_key(each) for each in credentials if isinstance(each, Key)],
        "clients": [shown_client(each) for each in credentials if isinstance(each, Client)],
    }


def shown_key(key: Key) -> dict[str, Any]:
    return {
        "account": key.account.name,
        "label": key.label,
        "text": key.text,
        "dead": key.dead,
        "granted": len(key.ticked),
    }


def shown_client(client: Client) -> dict[str, Any]:
    """With its secret, as keys are shown with their text."""
    return {
        "account": client.account.name,
        "label": client.label,
        "client_id": client.client_id,
        "secret": client.secret,
        "grant": client.grant,
        "role": client.role,
        "dead": client.dead,
        "ticked": len(client.ticked),
    }
