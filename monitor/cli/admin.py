"""`sandbox untick|tick|kill|enable`: what a customer's admin does to keys, in a sandbox that runs."""

from collections.abc import Mapping
from typing import Any

import typer

from monitor.cli.output import print_json, print_table
from monitor.cli.trouble import Accounts, AsJson, Url, whom
from monitor.sandbox.remote import Remote

UNTICK_EXAMPLE = "Example: harvest-monitor sandbox untick 'GET /v1/offers' --account acme"
TICK_EXAMPLE = "Example: harvest-monitor sandbox tick 'GET /v1/offers' --account acme"
KILL_EXAMPLE = "Example: harvest-monitor sandbox kill --account acme"
ENABLE_EXAMPLE = "Example: harvest-monitor sandbox enable --account acme"
Endpoints = typer.Argument(help="As the sandbox's page shows them, such as 'GET /v1/offers'.")
Key = typer.Option(None, help="The key's label; not needed where an account has one key.")


def untick(
    endpoints: list[str] = Endpoints,
    account: list[str] | None = Accounts,
    key: str | None = Key,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Take permissions from a key."""
    _tell(Remote(url), "/revoke", account, {"key": key, "endpoints": endpoints}, as_json)


def tick(
    endpoints: list[str] = Endpoints,
    account: list[str] | None = Accounts,
    key: str | None = Key,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Give permissions to a key."""
    _tell(Remote(url), "/grant", account, {"key": key, "endpoints": endpoints}, as_json)


def kill(account: list[str] | None = Accounts, key: str | None = Key, url: str = Url, as_json: bool = AsJson) -> None:
    """Revoke a key, so that it opens nothing."""
    _tell(Remote(url), "/kill", account, {"key": key}, as_json)


def enable(account: list[str] | None = Accounts, key: str | None = Key, url: str = Url, as_json: bool = AsJson) -> None:
    """Let a revoked key live again."""
    _tell(Remote(url), "/enable", account, {"key": key}, as_json)


def _tell(remote: Remote, path: str, accounts: list[str] | None, asked: Mapping[str, Any], as_json: bool) -> None:
    """Ask the same for each account, or once for all, and show how the keys stand then."""
    keys = [key for each in whom(accounts, None) for key in remote.tell(path, {**asked, **each})["keys"]]
    if as_json:
        print_json({"keys": keys})
        return
    print_table(
        ["ACCOUNT", "KEY", "STATE", "TICKED"],
        [(key["account"], key["label"], "revoked" if key["dead"] else "live", str(key["granted"])) for key in keys],
        empty="no account has a key",
    )
