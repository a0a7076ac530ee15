"""`manifest show|endpoints|new|validate|diff|accept-v3`."""

from dataclasses import asdict
from pathlib import Path

import typer

from checks.errors import ManifestError
from checks.manifest import Manifest, built_in, compare, load
from monitor.checking.check_document import ExitStatus
from monitor.cli import manifest_endpoints, manifest_new, v3_migration
from monitor.cli.command_tree import CommandTree
from monitor.cli.console import complain, print_json, print_table, tell
from monitor.cli.database import who, with_new_database
from monitor.cli.manifest_lookup import find_manifest
from monitor.clock import utc_now
from monitor.config.settings import Settings
from monitor.notices.wording import counted
from monitor.store.database import Database
from monitor.tenants.scope_acceptance_queries import accept
from monitor.tenants.v3_migration import needed_scopes, scopes_origin, without_scope

app = CommandTree(
    help="Write, show and check permission manifests: what an integration requires of a credential.",
    epilog="Example: harvest-monitor manifest show",
    no_args_is_help=True,
)
_A_MANIFEST = "A path, or the name of one that is built in or in use."
Named = typer.Argument(autocompletion=built_in, help=_A_MANIFEST)
InUse = typer.Argument(None, autocompletion=built_in, help=f"{_A_MANIFEST} Default: that of the settings.")
AsJson = typer.Option(False, "--json", help="Print one JSON document.")
app.command("endpoints", epilog=manifest_endpoints.EXAMPLE)(manifest_endpoints.command)
app.command("new", epilog=manifest_new.EXAMPLE)(manifest_new.command)


@app.command(epilog="Example: harvest-monitor manifest show gem --json | jq '.permissions[].label'")
def show(
    name: str | None = InUse,
    v3: bool = typer.Option(False, "--v3", help="Show the scopes to tick for a Harvest v3 credential instead."),
    as_json: bool = AsJson,
) -> None:
    """Print a manifest: its permissions with group, label, endpoint and feature, or its Harvest v3 scopes."""
    manifest = find_manifest(name)
    if v3:
        _show_scopes(manifest, as_json)
    elif as_json:
        print_json(_document(manifest))
    else:
        _show_permissions(manifest)


def _show_permissions(manifest: Manifest) -> None:
    tell(f"{manifest.title}: {manifest.name} {manifest.version}, digest {manifest.digest}")
    print_table(
        ["GROUP", "LABEL", "ENDPOINT", "MAPPING", "FEATURE"],
        [(p.group, p.label, p.endpoint or "none", p.mapping, p.feature or "") for p in manifest.permissions],
        empty="the manifest is empty",
    )


@app.command(epilog="Example: harvest-monitor manifest validate ./our-integration.yaml")
def validate(file: Path = typer.Argument(help="The manifest to read."), as_json: bool = AsJson) -> int:
    """Check a manifest and report every mistake with its line and field."""
    try:
        manifest = load(str(file))
    except ManifestError as problem:
        if as_json:
            print_json({"valid": False, "problems": str(problem).splitlines()})
        else:
            complain(str(problem))
        return ExitStatus.USAGE
    if as_json:
        print_json({"valid": True, "problems": [], "digest": manifest.digest})
    else:
        typer.echo(f"{file}: {counted(len(manifest.permissions), 'permission')}, digest {manifest.digest}")
        _tell_what_is_left(manifest)
    return ExitStatus.COMPLIANT


def _tell_what_is_left(manifest: Manifest) -> None:
    """What is no mistake, and still makes emails say less, or leaves a permission unchecked."""
    silent = sum(not permission.impact for permission in manifest.permissions)
    if silent:
        tell(f"{silent} without impact: emails do not say what stops working without them")
    unnamed = sum(not permission.effect for permission in manifest.permissions)
    if unnamed:
        tell(f"{unnamed} without effect: emails name the label instead of what no longer works")
    unchecked = sum(permission.endpoint is None for permission in manifest.permissions)
    if unchecked:
        tell(f"{unchecked} without an endpoint: they cannot be checked with a v1 key")
    scopeless = len(without_scope(manifest.permissions))
    if scopeless:
        tell(f"{scopeless} without scopes: they cannot be checked on Harvest v3")


@app.command(epilog="Example: harvest-monitor manifest diff gem ./gem-next.yaml")
def diff(
    old: str = Named,
    new: str = Named,
    as_json: bool = AsJson,
) -> int:
    """Compare two manifests; exit status 1 if they differ."""
    found = compare(find_manifest(old), find_manifest(new))
    if as_json:
        print_json(asdict(found))
    elif found:
        typer.echo("\n".join(found.lines()))
    else:
        tell("no difference")
    return ExitStatus.TROUBLE if found else ExitStatus.COMPLIANT


@app.command("accept-v3", epilog="Example: harvest-monitor manifest accept-v3 --reason 'compared with our own list'")
def accept_v3(
    name: str | None = InUse,
    reason: str = typer.Option(..., help="Why its scopes are right; recorded with your name."),
) -> int:
    """Accept a manifest's derived scopes; until then, missing v3 scopes are reported to the operator, not to CSMs.

    A changed manifest must be accepted again. Check its scopes first: manifest show --v3.
    """
    manifest = find_manifest(name)
    if manifest.v3_source != "derived":
        complain(f"{scopes_origin(manifest)} There is nothing to accept.")
        return ExitStatus.USAGE

    async def act(db: Database, _: Settings) -> bool:
        async with db.writing() as conn:
            return await accept(conn, manifest, who(), reason, utc_now())

    new = with_new_database(act)
    what = f"{manifest.name} {manifest.version}, digest {manifest.digest}"
    typer.echo(f"{what}: missing scopes are reported to CSMs from now on" if new else f"{what}: already accepted")
    return ExitStatus.COMPLIANT


def _show_scopes(manifest: Manifest, as_json: bool) -> None:
    scopes = needed_scopes(manifest.permissions)
    if as_json:
        print_json(
            {
                "manifest": v3_migration.manifest_document(manifest),
                "features": dict(manifest.features),
                **v3_migration.scopes_document(manifest.permissions),
            }
        )
        return
    tell(f"{manifest.title}: {manifest.name} {manifest.version}. {scopes_origin(manifest)}")
    print_table(
        ["GROUP", "SCOPE TO TICK", "NAME", "ONLY WITH", "SOURCE"],
        [
            (group, one.scope.title, one.scope.name, ", ".join(one.features), manifest.v3_source or "")
            for group, in_group in scopes.items()
            for one in in_group
        ],
        empty="there is nothing to tick",
    )
    for permission in without_scope(manifest.permissions):
        tell(f"no scope is known for {permission.group} › {permission.label}")


def _document(manifest: Manifest) -> dict[str, object]:
    return {**asdict(manifest), "digest": manifest.digest}
