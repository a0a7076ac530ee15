"""`sandbox untick|tick|kill|enable|token`: what a customer's admin does to keys and clients, in a running sandbox."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from monitor.cli.console import print_json, print_table, tell
from monitor.cli.sandbox.faults import Accounts, AsJson, Url, targets
from monitor.errors import ConfigurationError
from monitor.sandbox.control.remote import Remote

UNTICK_HELP = "Take permissions from a key, or scopes from a v3 client."
UNTICK_EXAMPLE = "Example: harvest-monitor sandbox untick 'GET /v1/offers' --account acme"
TICK_HELP = "Give permissions to a key, or scopes to a v3 client (from its next token on)."
TICK_EXAMPLE = "Example: harvest-monitor sandbox tick 'GET /v1/offers' --account acme"
KILL_HELP = "Revoke a key, or the v3 client of an account that has no key."
KILL_EXAMPLE = "Example: harvest-monitor sandbox kill --account acme --label Gem"
ENABLE_HELP = "Let a revoked key or client work again."
ENABLE_EXAMPLE = "Example: harvest-monitor sandbox enable --account acme"
TOKEN_EXAMPLE = "Example: harvest-monitor sandbox token --account acme --output acme.token"  # noqa: S105  # no secret
Names = typer.Argument(
    metavar="NAME", help="As the sandbox's page shows them, such as 'GET /v1/offers' or harvest:offers:list."
)
Key = typer.Option(None, metavar="LABEL", help="The key's label; not needed if the account has one key.")
Label = typer.Option(None, help="The v3 client's label; not needed if the account has one client.")
ClientInstead = typer.Option(None, help="A v3 client by its label, instead of a key.")
Output = typer.Option(None, help="Write it to this file, readable only by you, instead of printing it.")


def ticking(path: str) -> Callable[..., None]:
    """The command that changes what is ticked, by the control API's path `/grant` or `/revoke`."""

    def command(
        names: list[str] = Names,
        account: list[str] | None = Accounts,
        key: str | None = Key,
        label: str | None = Label,
        url: str = Url,
        as_json: bool = AsJson,
    ) -> None:
        scopes = [name for name in names if _is_scope(name)]
        endpoints = [name for name in names if not _is_scope(name)]
        calls: list[Call] = []
        if endpoints:
            calls.append((path, {"key": key, "endpoints": endpoints}))
        if scopes:
            calls.append((f"/clients{path}", {"client": label, "scopes": scopes}))
        _post(Remote(url), account, calls, as_json)

    return command


def switching(path: str) -> Callable[..., None]:
    """The command that kills or enables a key or client, by the control API's path `/kill` or `/enable`."""

    def command(
        account: list[str] | None = Accounts,
        key: str | None = Key,
        label: str | None = ClientInstead,
        url: str = Url,
        as_json: bool = AsJson,
    ) -> None:
        if key is not None and label is not None:
            raise typer.BadParameter("name a key by --key or a client by --label, not both", param_hint="--label")
        call: Call = (path, {"key": key}) if label is None else (f"/clients{path}", {"client": label})
        _post(Remote(url), account, [call], as_json)

    return command


def token(
    account: str = typer.Option(help="The client's account."),
    label: str | None = Label,
    output: Path | None = Output,
    url: str = Url,
) -> None:
    """Issue an access token to a v3 client, as the integration with its secret would get it."""
    text = Remote(url).post("/clients/token", {"account": account, "client": label})["token"]
    if output is None:
        typer.echo(text)
        return
    _write(output, text)
    tell(f"a token of {account} is in {output}")


Call = tuple[str, Mapping[str, Any]]


def _is_scope(name: str) -> bool:
    return name.startswith(("harvest:", "auditlog:"))


def _post(remote: Remote, accounts: list[str] | None, calls: list[Call], as_json: bool) -> None:
    """Make the calls for each account, or once for all, and show the keys and clients that they changed."""
    answers = [remote.post(path, {**body, **target}) for path, body in calls for target in targets(accounts, None)]
    keys = [key for each in answers for key in each["keys"]]
    clients = [client for each in answers for client in each["clients"]]
    if as_json:
        print_json({"keys": keys, "clients": clients})
        return
    rows = [(each["account"], each["label"], _state(each), str(each["granted"])) for each in keys]
    rows += [(each["account"], each["label"], _state(each), str(each["ticked"])) for each in clients]
    print_table(["ACCOUNT", "KEY", "STATE", "TICKED"], rows, empty="no account has one")


def _state(credential: Mapping[str, Any]) -> str:
    return "revoked" if credential["dead"] else "live"


def _write(file: Path, text: str) -> None:
    """Never readable by others, not even for a moment, even if the file existed before."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(descriptor, "w", encoding="ascii") as opened:
            os.fchmod(descriptor, 0o600)
            opened.truncate(0)
            opened.write(text + "\n")
    except OSError as problem:
        raise ConfigurationError(f"the token cannot be written to {file}: {problem.strerror}") from None
