"""`sandbox untick|tick|kill|enable|token`: what a customer's admin does to keys and clients, in a sandbox that runs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from monitor.cli.console import print_json, print_table, tell
from monitor.cli.sandbox.faults import Accounts, AsJson, Url, whom
from monitor.errors import ConfigurationError
from monitor.sandbox.control.remote import Remote

UNTICK_EXAMPLE = "Example: harvest-monitor sandbox untick harvest:offers:list 'GET /v1/offers' --account acme"
TICK_EXAMPLE = "Example: harvest-monitor sandbox tick harvest:offers:list 'GET /v1/offers' --account acme"
KILL_EXAMPLE = "Example: harvest-monitor sandbox kill --account acme --label Gem"
ENABLE_EXAMPLE = "Example: harvest-monitor sandbox enable --account acme"
TOKEN_EXAMPLE = "Example: harvest-monitor sandbox token --account acme --output acme.token"  # noqa: S105  # no secret
Names = typer.Argument(
    metavar="NAME", help="As the sandbox's page shows them, such as 'GET /v1/offers' or harvest:offers:list."
)
Key = typer.Option(None, help="The key's label; not needed where an account has one key.")
Label = typer.Option(None, help="The v3 client's label; not needed where an account has one client.")
Instead = typer.Option(None, help="A v3 client by its label, instead of a key.")
Output = typer.Option(None, help="Write it to this file, which only you can read, instead of printing it.")


def untick(
    names: list[str] = Names,
    account: list[str] | None = Accounts,
    key: str | None = Key,
    label: str | None = Label,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Take permissions from a key, scopes from a v3 client."""
    _tick(Remote(url), "/revoke", account, _sorted(names, key, label), as_json)


def tick(
    names: list[str] = Names,
    account: list[str] | None = Accounts,
    key: str | None = Key,
    label: str | None = Label,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Give permissions to a key, scopes to a v3 client (its next token has them)."""
    _tick(Remote(url), "/grant", account, _sorted(names, key, label), as_json)


def kill(
    account: list[str] | None = Accounts,
    key: str | None = Key,
    label: str | None = Instead,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Revoke a key, or the v3 client of an account that has no key, so that it opens nothing."""
    _tell(Remote(url), account, [_whole("/kill", key, label)], as_json)


def enable(
    account: list[str] | None = Accounts,
    key: str | None = Key,
    label: str | None = Instead,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Let what was revoked live again."""
    _tell(Remote(url), account, [_whole("/enable", key, label)], as_json)


def token(
    account: str = typer.Option(help="Whose client's."),
    label: str | None = Label,
    output: Path | None = Output,
    url: str = Url,
) -> None:
    """Issue an access token to a v3 client, as the integration that holds its secret would have it."""
    text = Remote(url).tell("/clients/token", {"account": account, "client": label})["token"]
    if output is None:
        typer.echo(text)
        return
    _write(output, text)
    tell(f"a token of {account} is in {output}")


Call = tuple[str, Mapping[str, Any]]


def _sorted(names: list[str], key: str | None, label: str | None) -> dict[str, Mapping[str, Any]]:
    """What to ask of keys and of clients, by the part of the control that does it."""
    scopes = [name for name in names if _is_scope(name)]
    endpoints = [name for name in names if not _is_scope(name)]
    asked: dict[str, Mapping[str, Any]] = {}
    if endpoints:
        asked[""] = {"key": key, "endpoints": endpoints}
    if scopes:
        asked["/clients"] = {"client": label, "scopes": scopes}
    return asked


def _is_scope(name: str) -> bool:
    return name.startswith(("harvest:", "auditlog:"))


def _tick(
    remote: Remote, path: str, accounts: list[str] | None, asked: Mapping[str, Mapping[str, Any]], as_json: bool
) -> None:
    _tell(remote, accounts, [(part + path, body) for part, body in asked.items()], as_json)


def _whole(path: str, key: str | None, label: str | None) -> Call:
    """One key or one client as a whole."""
    if key is not None and label is not None:
        raise typer.BadParameter("name a key by --key or a client by --label, not both", param_hint="--label")
    return (path, {"key": key}) if label is None else ("/clients" + path, {"client": label})


def _tell(remote: Remote, accounts: list[str] | None, calls: list[Call], as_json: bool) -> None:
    """Ask the same for each account, or once for all, and show how keys and clients stand then."""
    told = [remote.tell(path, {**asked, **each}) for path, asked in calls for each in whom(accounts, None)]
    keys = [key for each in told for key in each["keys"]]
    clients = [client for each in told for client in each["clients"]]
    if as_json:
        print_json({"keys": keys, "clients": clients})
        return
    rows = [(key["account"], key["label"], _state(key), str(key["granted"])) for key in keys]
    rows += [(each["account"], each["label"], _state(each), str(each["ticked"])) for each in clients]
    print_table(["ACCOUNT", "KEY", "STATE", "TICKED"], rows, empty="no account has one")


def _state(one: Mapping[str, Any]) -> str:
    return "revoked" if one["dead"] else "live"


def _write(file: Path, text: str) -> None:
    """Never readable to others, not even for a moment, and also where the file was there before."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(descriptor, "w", encoding="ascii") as opened:
            os.fchmod(descriptor, 0o600)
            opened.truncate(0)
            opened.write(text + "\n")
    except OSError as problem:
        raise ConfigurationError(f"the token can not be written to {file}: {problem.strerror}") from None
