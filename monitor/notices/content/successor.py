"""The boxes to tick on a new Harvest v3 credential that takes the place of one that Greenhouse refuses. Pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from checks.errors import ManifestError
from checks.manifest import Manifest
from monitor.notices.content.retired_message import Boxes, boxes
from monitor.tenants.declined import declined_ids

Manifests = Callable[[str | None], Manifest]
"""A credential's manifest by name, None for the default one; ManifestError if it cannot be read."""


def no_manifest(_: str | None) -> Manifest:
    raise ManifestError("no manifest was given")


@dataclass(frozen=True, slots=True)
class CredentialNeeds:
    """What decides which scopes a tenant needs; `declined` has ids or labels, as in the tenants file."""

    manifest: str | None
    features: tuple[str, ...]
    declined: tuple[str, ...]


def needs_acceptance(manifest: Manifest, accepted: Collection[str]) -> bool:
    """Its scopes are derived, and no operator has accepted them: `accepted` holds digests."""
    return manifest.v3_source == "derived" and manifest.digest not in accepted


def successor_boxes(needs: CredentialNeeds, manifests: Manifests, accepted: Collection[str]) -> Boxes | None:
    """None where the scopes are not known, or nobody may be asked for them yet."""
    try:
        manifest = manifests(needs.manifest)
    except ManifestError:  # reported elsewhere, as that tenant's own problem
        return None
    if manifest.v3_source is None or needs_acceptance(manifest, accepted):
        return None
    declined = declined_ids(needs.declined, manifest)
    wanted = [one for one in manifest.applying_to(needs.features) if one.id not in declined]
    return boxes((name for permission in wanted for name in permission.scopes), wanted)
