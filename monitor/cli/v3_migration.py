"""`tenants migration`: which tenants still have a Harvest v1 key, and how one customer's admin replaces it."""

from collections.abc import Iterable, Sequence
from typing import Any

import typer

from checks.errors import ManifestError
from checks.manifest import Manifest, Permission, load
from monitor.checking.check_document import ExitStatus
from monitor.cli.console import complain, on_terminal, print_fitted, print_json, print_table, say, tell
from monitor.cli.database import moment, with_database
from monitor.cli.tenant_ids import tenant_ids
from monitor.config.settings import Settings
from monitor.store.database import Database
from monitor.tenants import v3_migration_queries
from monitor.tenants.manifests import ManifestRegistry
from monitor.tenants.sync_queries import active_ids
from monitor.tenants.v3_migration import (
    MigrationStage,
    V1Key,
    needed_scopes,
    permissions_of,
    scopes_origin,
    without_scope,
)

EXAMPLE = "Example: harvest-monitor tenants migration acme"

_STAGES = {
    MigrationStage.NOT_BEGUN: "not begun",
    MigrationStage.BEGUN: "v3 credential does not work yet",
    MigrationStage.DONE: "done",
}
_PATH = "Configure › Dev Center › API Credential Management"
_STEPS = (
    f"In Greenhouse, go to {_PATH}.",
    "Create new API credentials of the kind Harvest V3 (OAuth).",
    "Keep the client ID and the client secret in a safe place: Greenhouse shows the secret only once.",
    "Next to the new credential, choose Manage scopes, tick the scopes below and save.",
    "Hand over the client ID and the secret in a safe way, never by email.",
)
_REQUIRED_PERMISSION = "Can manage ALL organization's API Credentials"


def command(
    tenant: str | None = typer.Argument(
        None, autocompletion=tenant_ids, help="The tenant's id. Default: list every tenant with a v1 key."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """List the tenants with a Harvest v1 key; for one tenant, how its admin replaces it, with the scopes to tick."""

    async def query(db: Database, settings: Settings) -> tuple[list[V1Key], frozenset[str], ManifestRegistry | None]:
        async with db.reading() as conn:
            keys, known = await v3_migration_queries.v1_keys(conn, tenant), await active_ids(conn)
        return keys, known, ManifestRegistry(load(settings.manifest)) if tenant and keys else None

    keys, known, registry = with_database(query)
    if tenant is None:
        _list(keys, as_json)
        return ExitStatus.COMPLIANT
    if tenant not in known:
        complain(f"no tenant {tenant!r} is recorded; `harvest-monitor tenants list` shows all tenants")
        return ExitStatus.USAGE
    return _plan(tenant, keys, registry, as_json)


def manifest_document(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": manifest.digest,
        "v3_source": manifest.v3_source,
    }


def scopes_document(permissions: Sequence[Permission]) -> dict[str, Any]:
    """Scopes by group, each with the permissions of a v1 key that it replaces and the features that need it."""
    groups = [
        {
            "group": group,
            "scopes": [
                {
                    "scope": one.scope.name,
                    "title": one.scope.title,
                    "features": list(one.features),
                    "permissions": _labels(one.permissions),
                }
                for one in scopes
            ],
        }
        for group, scopes in needed_scopes(permissions).items()
    ]
    return {"groups": groups, "without_scope": _labels(without_scope(permissions))}


def _labels(permissions: Iterable[Permission]) -> list[dict[str, str]]:
    return [{"id": one.id, "group": one.group, "label": one.label} for one in permissions]


def _list(keys: Sequence[V1Key], as_json: bool) -> None:
    if as_json:
        print_json({"keys": [_document(key) for key in keys]})
        return
    if keys and on_terminal():
        _show_fitted(keys)
        return
    print_table(
        ["TENANT", "NAME", "CSM", "CREDENTIAL", "STATE", "SINCE", "MIGRATION"],
        [
            (
                key.tenant_id,
                key.tenant_name,
                key.csm_email or "",
                key.label,
                key.state.value,
                moment(key.since),
                _STAGES[key.stage],
            )
            for key in keys
        ],
        empty="no tenant has a Harvest v1 key",
    )


def _show_fitted(keys: Sequence[V1Key]) -> None:
    """On a terminal: a line for each, with the day since when it stands so."""
    print_fitted(
        ["TENANT", "CSM", "CREDENTIAL", "STATE", "SINCE", "MIGRATION"],
        [
            (
                key.tenant_id,
                key.csm_email or "",
                key.label,
                key.state.value,
                f"{key.since:%Y-%m-%d}" if key.since else "",
                _STAGES[key.stage],
            )
            for key in keys
        ],
        shortened={"TENANT": 12, "CSM": 16, "CREDENTIAL": 12, "MIGRATION": 12},
    )


def _document(key: V1Key) -> dict[str, Any]:
    return {
        "tenant": key.tenant_id,
        "name": key.tenant_name,
        "csm": {"name": key.csm_name, "email": key.csm_email},
        "credential": key.label,
        "state": key.state.value,
        "since": key.since,
        "migration": key.stage.value,
    }


def _plan(tenant: str, keys: Sequence[V1Key], registry: ManifestRegistry | None, as_json: bool) -> int:
    try:
        manifests = [registry.manifest(key.manifest) for key in keys] if registry else []
    except ManifestError as problem:
        complain(str(problem))
        return ExitStatus.USAGE
    plans = list(zip(keys, manifests, strict=True))
    if as_json:
        credentials = [_plan_document(key, manifest) for key, manifest in plans]
        print_json({"tenant": tenant, "steps": list(_STEPS) if plans else [], "credentials": credentials})
    elif plans:
        for text in "\n\n".join("\n".join(_plan_lines(key, manifest)) for key, manifest in plans).splitlines():
            say(text)
    else:
        tell(f"{tenant} has no Harvest v1 key; `harvest-monitor manifest show --v3` prints the scopes of a manifest")
    return ExitStatus.COMPLIANT


def _plan_document(key: V1Key, manifest: Manifest) -> dict[str, Any]:
    needed = permissions_of(key, manifest)
    return {**_document(key), "manifest": manifest_document(manifest), **scopes_document(needed)}


def _plan_lines(key: V1Key, manifest: Manifest) -> list[str]:
    needed = permissions_of(key, manifest)
    since = f" since {moment(key.since)}" if key.since else ""
    lines = [f"{key.tenant_name} ({key.tenant_id}), {key.label}: {key.state}{since}; migration: {_STAGES[key.stage]}"]
    lines += ["", f"What an admin with the permission “{_REQUIRED_PERMISSION}” does:", ""]
    lines += [f"  {number}. {step}" for number, step in enumerate(_STEPS, 1)]
    lines += [
        "",
        f"Scopes to tick, with the permissions of the v1 key that each replaces. {scopes_origin(manifest)}",
    ]
    for group, scopes in needed_scopes(needed).items():
        lines += ["", f"  {group}"]
        for one in scopes:
            lines += [f"  [ ] {one.scope.title} ({one.scope.name})"]
            lines += [f"        {permission.group} › {permission.label}" for permission in one.permissions]
    lines += [f"\nNo scope is known for {one.group} › {one.label}." for one in without_scope(needed)]
    return lines
