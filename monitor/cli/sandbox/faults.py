"""`sandbox weather|fault|mails`: trouble in a sandbox that runs, and the mails that it took."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import typer

from monitor.cli.console import print_json, print_table
from monitor.config.settings import parse_duration
from monitor.sandbox.control.remote import Remote
from monitor.sandbox.faults.mail import OF_CONNECTION

WEATHER_EXAMPLE = "Example: harvest-monitor sandbox weather blocked --account acme --for 90s"
MAILS_EXAMPLE = "Example: harvest-monitor sandbox mails --recipient dana@vendor.example --json"
Url = typer.Option("http://127.0.0.1:8765", help="Where the sandbox is.")
AsJson = typer.Option(False, "--json", help="Print one JSON document.")
Accounts = typer.Option(None, "--account", help="For this account of Greenhouse; may be repeated. All if left out.")
Recipients = typer.Option(None, "--recipient", help="For mails to this address; may be repeated. All if left out.")
For = typer.Option(None, "--for", help="How long, such as 90s or 5m; until cleared if left out.")
Share = typer.Option(None, help="The part of the requests or mails that is hit, drawn by lot; 0.5 is half.")
Times = typer.Option(None, help="How many are hit before it ends.")
Details = typer.Argument(None, help="What the table in docs/sandbox.md names, such as seconds=2 or prefix=/v1/jobs.")

fault_app = typer.Typer(help="Single faults of a sandbox that runs, of which weathers are made.", no_args_is_help=True)


def weather(
    name: str | None = typer.Argument(None, help="Which; clear ends it. Lists what there is if left out."),
    account: list[str] | None = Accounts,
    recipient: list[str] | None = Recipients,
    duration: str | None = For,
    share: float | None = Share,
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """Call up trouble by its name in a sandbox that runs: at Greenhouse, or at the mail server."""
    remote = Remote(url)
    if name is None:
        return _list_weathers(remote, as_json)
    asked = {"name": name, "lasts": _lasts(duration), "share": share}
    for each in whom(account, recipient):
        remote.tell("/weather", asked | each)
    _show(remote, as_json)


@fault_app.command(epilog="Example: harvest-monitor sandbox fault add slow seconds=2 prefix=/v1/jobs --account acme")
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
    asked = _pairs(details) | {"kind": kind, "lasts": _lasts(duration), "share": share, "times": times}
    for each in whom(account, None):
        remote.tell("/faults", asked | each)
    _show(remote, as_json)


@fault_app.command(
    "add-mail", epilog="Example: harvest-monitor sandbox fault add-mail answer 'text=452 4.2.2 Mailbox full' --times 3"
)
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
    asked = _pairs(details) | {"kind": kind, "lasts": _lasts(duration), "share": share, "times": times}
    for each in whom(None, recipient):
        remote.tell("/mail-faults", asked | each)
    _show(remote, as_json)


@fault_app.command("list", epilog="Example: harvest-monitor sandbox fault list --json")
def list_(url: str = Url, as_json: bool = AsJson) -> None:
    """What is in force, whom it hit so far, and when it ends."""
    _show(Remote(url), as_json)


@fault_app.command(epilog="Example: harvest-monitor sandbox fault clear --account acme")
def clear(
    number: int | None = typer.Argument(None, help="Only this one, as `list` shows it."),
    account: str | None = typer.Option(None, help="Only those for this account."),
    recipient: str | None = typer.Option(None, help="Only those for mails to this address."),
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """End faults, and the weather that they came with; all of them, or some."""
    remote = Remote(url)
    remote.tell("/faults/clear", {"number": number, "account": account, "recipient": recipient})
    _show(remote, as_json)


def mails(
    number: int | None = typer.Argument(None, help="Show the text of this one."),
    recipient: str | None = typer.Option(None, help="Only mails to this address."),
    url: str = Url,
    as_json: bool = AsJson,
) -> None:
    """The mails that a sandbox took, the oldest first."""
    remote = Remote(url)
    if number is not None:
        mail = remote.ask(f"/mails/{number}")
        print_json(mail) if as_json else typer.echo(mail["text"])
        return
    found = remote.ask("/mails" if recipient is None else f"/mails?{urlencode({'recipient': recipient})}")
    if as_json:
        print_json(found)
        return
    print_table(
        ["NUMBER", "AT", "TO", "SUBJECT"],
        [(str(m["number"]), m["at"], ", ".join(m["recipients"]), m["subject"]) for m in found["mails"]],
        empty="no mail came",
    )


def seconds_of(duration: str) -> float:
    try:
        seconds = parse_duration(duration).total_seconds()
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--for") from None
    return seconds


def _lasts(duration: str | None) -> float | None:
    return None if duration is None else seconds_of(duration)


def whom(accounts: list[str] | None, recipients: list[str] | None) -> Iterable[dict[str, str]]:
    """Whom a switch is for, one after another; once for all where nobody is named."""
    named = [{"account": name} for name in accounts or ()] + [{"recipient": name} for name in recipients or ()]
    return named or [{}]


def _pairs(details: list[str] | None) -> dict[str, str]:
    """`seconds=2` and the like, as the sandbox takes them."""
    pairs = [detail.partition("=") for detail in details or ()]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"{name!r} must be NAME=VALUE, such as seconds=2", param_hint="DETAILS")
    return {name: value for name, _, value in pairs}


def _list_weathers(remote: Remote, as_json: bool) -> None:
    weathers = remote.ask("/trouble")["weathers"]
    if as_json:
        print_json({"weathers": weathers})
        return
    print_table(["WEATHER", "MEANS"], [(each["name"], each["meaning"]) for each in weathers], empty="")


def _show(remote: Remote, as_json: bool) -> None:
    """What is in force on both sides."""
    trouble = remote.ask("/trouble")
    greenhouse, mail = trouble["faults"], trouble["mail"]["faults"]
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
                one or "all",
                str(each["hits"]),
                "" if each["times"] is None else str(each["times"]),
                "" if each["ends_in"] is None else f"{each['ends_in']:g} s",
            )
            for side, one, each in rows
        ],
        empty="nothing is wrong",
    )


def _described(fault: Mapping[str, Any]) -> str:
    """Its kind, and what narrows it: `slow on POST /v1/jobs`, `answer at rcpt`."""
    if fault["kind"] in OF_CONNECTION:
        return str(fault["kind"])
    if "step" in fault:
        return f"{fault['kind']} at {fault['step']}"
    path = " ".join(part for part in (fault["method"], fault["prefix"]) if part and part != "/")
    return f"{fault['kind']} on {path}" if path else str(fault["kind"])
