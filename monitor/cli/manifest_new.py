"""`manifest new`: a first manifest, from labels, groups, scopes or the text of a setup guide."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from checks.catalogue import offered, scopes
from checks.draft import guide_text, manifest_file
from checks.draft.guide_text import Asked, Kind, ReadText
from checks.draft.manifest_draft import (
    DraftedPermission,
    ManifestDraft,
    Match,
    draft,
)
from checks.draft.manifest_file import ManifestHead
from checks.manifest import Manifest, built_in, is_name, parse
from checks.text_file import NotUtf8, decoded
from monitor.atomic_file import atomic_file
from monitor.checking.check_document import ExitStatus
from monitor.cli.console import print_json, print_table, tell
from monitor.clock import utc_now
from monitor.errors import ConfigurationError
from monitor.notices.wording import counted

EXAMPLE = "Example: harvest-monitor manifest new lumen --from setup-guide.txt"
COLUMNS = ("GROUP", "LABEL", "ENDPOINT", "V3 SCOPES", "CHECK")
_SHOWN_LINES = 5
_LARGEST_TEXT = 1_000_000


def command(
    name: str = typer.Argument(help="What the manifest is called, such as lumen; also the name of the file."),
    label: list[str] | None = typer.Argument(
        None, help="Permissions by label, such as 'GET: List offers', or by scope, such as harvest:offers:list."
    ),
    source_file: Path | None = typer.Option(
        None,
        "--from",
        help="A text to take them from: one a line, or a whole setup guide as copied from a page; - for stdin.",
    ),
    group: list[str] | None = typer.Option(None, help="All permissions of this group; can be repeated."),
    scope_group: list[str] | None = typer.Option(None, help="All Harvest v3 scopes of this group; can be repeated."),
    title: str | None = typer.Option(None, help="The integration's name for people. Default: made from the name."),
    source: str | None = typer.Option(None, help="Where the list is published. Default: what it was made from."),
    output: Path | None = typer.Option(None, help="The file to write. Default: the name with .yaml, in this folder."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the file if it exists."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Write a first manifest; its comments say what is left to fill in.

    A label that is not known is written as well, as not checkable, with the nearest ones in a comment.
    """
    file = output or Path(f"{name}.yaml")
    _refuse_name(name)
    text = guide_text.read(_text(source_file) if source_file else "")
    asked = [*_named(label or ()), *text.asked, *_of_groups(group or ()), *_of_scope_groups(scope_group or ())]
    if not asked:
        raise ConfigurationError(_nothing(text))
    made = draft(asked)
    head = ManifestHead(
        name,
        f"{utc_now():%Y-%m-%d}",
        title or name.replace("_", " ").replace("-", " ").title(),
        source or _origin(source_file),
    )
    content = manifest_file.text(head, made)
    manifest = parse(content, str(file))
    _write(file, content, overwrite)
    if as_json:
        print_json(_document(file, manifest, made, text))
    else:
        _show(file, made, text)
    return ExitStatus.COMPLIANT


def _refuse_name(name: str) -> None:
    if name in built_in():
        raise ConfigurationError(f"{name} is built in, and would be used instead of the file: choose another name")
    if not is_name(name):
        raise ConfigurationError(
            f"{name!r} cannot be a manifest's name: 1 to 40 lower-case letters, digits, - and _, a letter first"
        )


def _text(file: Path) -> str:
    try:
        if str(file) == "-":
            if sys.stdin.isatty():
                tell("paste the labels or the text, then press Enter and Ctrl-D")
            content = sys.stdin.buffer.read(_LARGEST_TEXT + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(_LARGEST_TEXT + 1)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror}): correct the path") from None
    if len(content) > _LARGEST_TEXT:
        raise ConfigurationError(f"{file}: is longer than 1 MB: copy only the part that lists the permissions")
    try:
        return decoded(content)
    except NotUtf8:
        raise ConfigurationError(
            f"{file}: is no plain text in UTF-8: copy the words from the document and save them as text"
        ) from None


def _named(labels: Iterable[str]) -> list[Asked]:
    return [guide_text.as_label(label) for label in labels]


def _of_groups(names: Iterable[str]) -> Iterator[Asked]:
    for name in names:
        if not offered.is_group(name):
            raise ConfigurationError(
                f"Greenhouse has no group {name!r}: choose from {', '.join(offered.groups())}; those of Harvest v3 "
                "are for --scope-group"
            )
        yield Asked(Kind.GROUP, name, f"--group {name}")


def _of_scope_groups(names: Iterable[str]) -> Iterator[Asked]:
    for name in names:
        if not scopes.is_group(name):
            raise ConfigurationError(
                f"Harvest v3 has no scopes under {name!r}: choose from {', '.join(scopes.groups())}"
            )
        yield Asked(Kind.SCOPE_GROUP, name, f"--scope-group {name}")


def _nothing(text: ReadText) -> str:
    if text.passed_over:
        return (
            f"none of the {len(text.passed_over)} lines is a permission: they look like `GET: List offers`, "
            "`harvest:offers:list` or `Offers > List offers`; see `manifest endpoints`"
        )
    return (
        "nothing to write: name labels, or a text with --from, or a --group; see `manifest endpoints` for all of them"
    )


def _origin(file: Path | None) -> str:
    return "named on the command line" if file is None else "pasted text" if str(file) == "-" else file.name


def _write(file: Path, content: str, overwrite: bool) -> None:
    try:
        with atomic_file(file, overwrite=overwrite) as new:
            new.write_text(content, encoding="utf-8")
            new.chmod(0o644)  # it holds no secret, and the service may run as another user
    except FileExistsError:
        raise ConfigurationError(
            f"{file} exists already and is left as it is: write elsewhere with --output, or replace it with --overwrite"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{file}: cannot be written ({error.strerror}): choose another place with --output"
        ) from None


def _show(file: Path, made: ManifestDraft, text: ReadText) -> None:
    print_table(COLUMNS, map(_row, made.permissions), empty="")
    for one in made.unknown:
        near = " or ".join(f"{near.label!r}" for near in one.nearest)
        tell(f"not known: {one.asked.given!r}{_line(one.asked)}{f'; perhaps {near}' if near else ''}")
    for asked in made.repeated:
        tell(f"is there once: {asked.name!r}{_line(asked)}")
    _tell_passed_over(text)
    to_check = sum(_to_check(one) != "" for one in made.permissions)
    tell(
        f"{file}: {counted(len(made.permissions), 'permission')}, {to_check} marked CHECK. Next: fill in what its "
        f"comments name, then: harvest-monitor manifest validate {file}"
    )


def _tell_passed_over(text: ReadText) -> None:
    if not text.asked or not text.passed_over:
        return
    shown = "; ".join(f"{line}: {words[:60]}" for line, words in text.passed_over[:_SHOWN_LINES])
    more = len(text.passed_over) - _SHOWN_LINES
    tell(f"passed over as no permission: {shown}{f'; and {more} more (--json names all)' if more > 0 else ''}")


def _row(one: DraftedPermission) -> tuple[str, ...]:
    permission = one.permission
    scopes = ", ".join(permission.scopes)
    return (permission.group, permission.label, permission.endpoint or "none", scopes, _to_check(one))


def _to_check(one: DraftedPermission) -> str:
    if one.match is Match.UNKNOWN:
        return "not known"
    return "could mean another request" if one.match is Match.LIKELY else one.note


def _line(asked: Asked) -> str:
    return f" (line {asked.line})" if asked.line else ""


def _document(file: Path, manifest: Manifest, made: ManifestDraft, text: ReadText) -> dict[str, Any]:
    return {
        "file": str(file),
        "manifest": {"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
        "v3_source": manifest.v3_source,
        "permissions": list(map(_permission_document, made.permissions)),
        "repeated": [{"given": asked.given, "line": asked.line} for asked in made.repeated],
        "passed_over": [{"line": line, "text": words} for line, words in text.passed_over],
    }


def _permission_document(one: DraftedPermission) -> dict[str, Any]:
    permission = one.permission
    return {
        "id": permission.id,
        "group": permission.group,
        "label": permission.label,
        "endpoint": permission.endpoint or "none",
        "feature": permission.feature,
        "scopes": list(permission.scopes),
        "match": one.match,
        "check": _to_check(one),
        "nearest": [{"group": near.group, "label": near.label, "endpoint": near.endpoint} for near in one.nearest],
        "given": one.asked.given,
        "line": one.asked.line,
    }
