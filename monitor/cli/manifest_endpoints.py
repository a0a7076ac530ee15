"""`manifest endpoints`: what a manifest can name, and how each permission is checked."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import typer

from checks.catalogue import offered
from checks.catalogue.entry import Entry, WriteProbes
from checks.catalogue.offered import OfferedPermission
from monitor.checking.check_document import ExitStatus
from monitor.cli.console import complain, on_terminal, print_json, print_table, say, tell

EXAMPLE = "Example: harvest-monitor manifest endpoints offer list"
COLUMNS = ("GROUP", "LABEL", "ENDPOINT", "CLASS", "SERVICE", "CHECKED BY", "V3 SCOPES")


def command(
    word: list[str] | None = typer.Argument(
        None, help="Show only what has each of these words, or beginnings of words, in whatever column."
    ),
    group: str | None = typer.Option(None, help="Show only this group, such as 'Scheduled Interviews'."),
    checkable: bool = typer.Option(False, "--checkable", help="Show only what can be checked with a v1 key."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """List the permissions that Greenhouse offers: the lines that a manifest can be made of.

    The endpoint is what to write into the manifest. It is checked by a read, by a write probe (with the least setting
    of HARVEST_MONITOR_WRITE_PROBES that allows it), or not at all with a v1 key, and why. The v3 scopes are derived.
    """
    if group is not None and not offered.is_group(group):
        complain(f"Greenhouse has no group {group!r}: choose one of {', '.join(offered.groups())}")
        return ExitStatus.USAGE
    found = [one for one in offered.holding(word or ()) if _is_wanted(one, group, checkable)]
    if as_json:
        print_json({"endpoints": list(map(_document, found))})
    else:
        _show(found, word or ())
    return ExitStatus.COMPLIANT


def _is_wanted(one: OfferedPermission, group: str | None, checkable: bool) -> bool:
    return (group is None or one.group.casefold() == group.casefold()) and (not checkable or one.entry is not None)


def _show(found: Sequence[OfferedPermission], words: Iterable[str]) -> None:
    if found and on_terminal():
        _show_groups(found)
    else:
        print_table(COLUMNS, map(_row, found), empty=f"nothing has the words {' '.join(words)!r}: try fewer, or none")
    if any(one.mapping == "likely" for one in found):
        tell("(likely): the label could mean another request; write `mapping: likely` beside it")


def _show_groups(found: Iterable[OfferedPermission]) -> None:
    """Not as a table: seven columns have no room, and an endpoint that is cut off cannot be copied."""
    for group, of_it in groupby(found, lambda one: one.group):
        say(group)
        for one in of_it:
            _, label, endpoint, kind, service, by, scopes = _row(one)
            say(f"  {label}")
            say(f"      endpoint: {endpoint}")
            say(f"      checked by {by}{f' ({kind}, {service})' if kind else ''}")
            say(f"      v3: {scopes or 'no scope is known'}")


def _row(one: OfferedPermission) -> tuple[str, ...]:
    likely = " (likely)" if one.mapping == "likely" else ""
    kind, service = ("", "") if one.entry is None else (str(one.entry.request_class), str(one.entry.service))
    return (one.group, one.label + likely, one.endpoint, kind, service, checked_by(one), ", ".join(one.scopes))


def checked_by(one: OfferedPermission) -> str:
    if one.entry is not None:
        return f"write probe ({one.entry.needs})" if one.entry.is_write else "read"
    if one.request is None:
        return "nothing: no request is documented"
    return f"nothing: {one.request} {'could change something' if one.never_sent else 'is not in the catalogue'}"


def _document(one: OfferedPermission) -> dict[str, Any]:
    return {
        "group": one.group,
        "label": one.label,
        "also": list(one.also),
        "endpoint": one.endpoint,
        "request": one.request,
        "mapping": one.mapping,
        **_checked(one.entry),
        "checked_by": checked_by(one),
        "scopes": list(one.scopes),
    }


def _checked(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {"class": None, "service": None, "write_probes": None}
    least = None if entry.needs is WriteProbes.OFF else str(entry.needs)
    return {"class": str(entry.request_class), "service": str(entry.service), "write_probes": least}
