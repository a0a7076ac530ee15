"""`sandbox weather|fault|mails`: faults of a running sandbox, and the mails that it accepted."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import typer

from monitor.cli.command_tree import CommandTree
from monitor.cli.console import print_json, print_table
from monitor.config.setting_types import parse_duration
from monitor.sandbox.control.remote import Remote
from monitor.sandbox.faults.mail import OF_CONNECTION

WEATHER_EXAMPLE = "Example: harvest-monitor sandbox weather blocked --account acme --for 90s"
MAILS_EXAMPLE = "Example: harvest-monitor sandbox mails --recipient dana@vendor.example --json"
Url = typer.Option("http://127.0.0.1:8765", help="The sandbox's address.")
AsJson = typer.Option(False, "--json", help="Print one JSON document.")
Accounts = typer.Option(None, "--account", help="Only for this Greenhouse account; can be repeated. Default: all.")
Recipients = typer.Option(
    None, "--recipient", metavar="EMAIL", help="Only for mails to this address; can be repeated. Default: all."
)
For = typer.Option(None, "--for", metavar="DURATION", help="How long, such as 90s or 5m. Default: until cleared.")
Share = typer.Option(None, help="The share of requests or mails that is hit, chosen at random; 0.5 is half.")
Times = typer.Option(None, help="How many requests or mails are hit before it ends.")
Details = typer.Argument(
    None, metavar="NAME=VALUE", help="As in the tables of docs/sandbox.md, such as seconds=2 or prefix=/v1/jobs."
)

fault_app = CommandTree(
    help="Add, list and end single faults in a running sandbox.",
    epilog="Example: harvest-monitor sandbox fault list",
    no_args_is_help=True,
)


def activate_preset(
    name: str | None = typer.Argument(None, help="Its name; clear ends it. Lists all if left out."),
    account: list[str] | None = Accounts,
    recipient: list[str] | None = Recipients,
    duration: str | None = For,
    share: float | None = Share,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Simulate a common failure by its name in a running sandbox: of Greenhouse, or of the mail server."""
    remote = Remote(url)
    if name is None:
        return _list_presets(remote, as_json)
    preset = {"name": name, "lasts": _lasts(duration), "share": share}
    for target in targets(account, recipient):
        remote.post("/weather", preset | target)
    _show(remote, as_json)


@fault_app.command(epilog="Example: harvest-monitor sandbox fault add slow seconds=2 --account acme")
def add(
    kind: str = typer.Argument(help="One of the kinds in docs/sandbox.md, such as slow."),
    details: list[str] | None = Details,
    account: list[str] | None = Accounts,
    duration: str | None = For,
    share: float | None = Share,
    times: int | None = Times,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Add a fault of Greenhouse's side."""
    remote = Remote(url)
    fault = _pairs(details) | {"kind": kind, "lasts": _lasts(duration), "share": share, "times": times}
    for target in targets(account, None):
        remote.post("/faults", fault | target)
    _show(remote, as_json)


@fault_app.command("add-mail", epilog="Example: harvest-monitor sandbox fault add-mail answer 'text=452 Mailbox full'")
def add_mail(
    kind: str = typer.Argument(help="One of the kinds in docs/sandbox.md, such as answer."),
    details: list[str] | None = Details,
    recipient: list[str] | None = Recipients,
    duration: str | None = For,
    share: float | None = Share,
    times: int | None = Times,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Add a fault of the mail server."""
    remote = Remote(url)
    fault = _pairs(details) | {"kind": kind, "lasts": _lasts(duration), "share": share, "times": times}
    for target in targets(None, recipient):
        remote.post("/mail-faults", fault | target)
    _show(remote, as_json)


@fault_app.command("list", epilog="Example: harvest-monitor sandbox fault list --json")
def list_(url: str = Url, as_json: bool = AsJson) -> None:
    """List the active faults, how often each was hit, and when it ends."""
    _show(Remote(url), as_json)


@fault_app.command(epilog="Example: harvest-monitor sandbox fault clear --account acme")
def clear(
    number: int | None = typer.Argument(None, help="Only the fault with this number, as `list` shows it."),
    account: str | None = typer.Option(None, help="Only faults for this account."),
    recipient: str | None = typer.Option(None, metavar="EMAIL", help="Only faults for mails to this address."),
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """End all faults or some, including those of a weather."""
    remote = Remote(url)
    remote.post("/faults/clear", {"number": number, "account": account, "recipient": recipient})
    _show(remote, as_json)


def mails(
    number: int | None = typer.Argument(None, help="Show the text of the mail with this number."),
    recipient: str | None = typer.Option(None, metavar="EMAIL", help="Only mails to this address."),
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """List the mails that a sandbox accepted, oldest first."""
    remote = Remote(url)
    if number is not None:
        mail = remote.get(f"/mails/{number}")
        print_json(mail) if as_json else typer.echo(mail["text"])
        return
    found = remote.get("/mails" if recipient is None else f"/mails?{urlencode({'recipient': recipient})}")
    if as_json:
        print_json(found)
        return
    print_table(
        ["NUMBER", "AT", "TO", "SUBJECT"],
        [(str(m["number"]), m["at"], ", ".join(m["recipients"]), m["subject"]) for m in found["mails"]],
        empty="no mails",
    )


def seconds_of(duration: str) -> float:
    try:
        seconds = parse_duration(duration).total_seconds()
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--for") from None
    return seconds


def _lasts(duration: str | None) -> float | None:
    return None if duration is None else seconds_of(duration)


def targets(accounts: list[str] | None, recipients: list[str] | None) -> Iterable[dict[str, str]]:
    """One call's fields for each account and recipient; one empty set, which means all, if none is named."""
    named = [{"account": name} for name in accounts or ()] + [{"recipient": name} for name in recipients or ()]
    return named or [{}]


def _pairs(details: list[str] | None) -> dict[str, str]:
    """`seconds=2` and the like, as fields of a fault."""
    pairs = [detail.partition("=") for detail in details or ()]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"{name!r} must be NAME=VALUE, such as seconds=2", param_hint="NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _list_presets(remote: Remote, as_json: bool) -> None:
    presets = remote.get("/trouble")["weathers"]
    if as_json:
        print_json({"weathers": presets})
        return
    print_table(["WEATHER", "MEANS"], [(each["name"], each["meaning"]) for each in presets], empty="")


def _show(remote: Remote, as_json: bool) -> None:
    """The active faults of both sides."""
    state = remote.get("/trouble")
    greenhouse, mail = state["faults"], state["mail"]["faults"]
    if as_json:
        print_json({"faults": greenhouse, "mail_faults": mail})
        return
    rows = [("Greenhouse", each["account"], each) for each in greenhouse]
    rows += [("mail", each["recipient"], each) for each in mail]
    print_table(
        ["NUMBER", "SIDE", "WEATHER", "FAULT", "FOR", "HITS", "LEFT", "ENDS IN"],
        [
            (
                str(each["number"]),
                side,
                each["weather"] or "",
                _described(each),
                target or "all",
                str(each["hits"]),
                "" if each["times"] is None else str(each["times"]),
                "" if each["ends_in"] is None else f"{each['ends_in']:g} s",
            )
            for side, target, each in rows
        ],
        empty="no active faults",
    )


def _described(fault: Mapping[str, Any]) -> str:
    """Its kind, and what narrows it: `slow on POST /v1/jobs`, `answer at rcpt`."""
    if fault["kind"] in OF_CONNECTION:
        return str(fault["kind"])
    if "step" in fault:
        return f"{fault['kind']} at {fault['step']}"
    path = " ".join(part for part in (fault["method"], fault["prefix"]) if part and part != "/")
    return f"{fault['kind']} on {path}" if path else str(fault["kind"])
