"""Which permissions of a manifest a customer declined; the tenants file names them by id or label."""

from collections.abc import Iterable, Sequence

from checks.errors import ManifestError
from checks.manifest import Manifest
from checks.v3.verdicts import ROLE_ID


def declined_ids(names: Iterable[str], manifest: Manifest) -> frozenset[str]:
    """The ids of the permissions that are named; names that this manifest does not know are left out."""
    known = [name for name in names if why_unknown(name, [manifest]) is None]
    return frozenset(ROLE_ID if name == ROLE_ID else manifest.permission(name).id for name in known)


def why_unknown(name: str, manifests: Sequence[Manifest]) -> str | None:
    """Why none of the manifests has this permission, in the words of the last one; None if one has it."""
    if name == ROLE_ID:
        return None
    reason = None
    for manifest in manifests:
        try:
            manifest.permission(name)
        except ManifestError as problem:
            reason = str(problem)
        else:
            return None
    return reason
