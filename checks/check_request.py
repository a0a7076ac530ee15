"""What one check is to find out, of either kind of credential."""

from dataclasses import dataclass

from checks.manifest import Manifest


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """`declined` and `only` hold permission ids, `remembered` endpoints that were refused before.

    `only` names the suspects of a second check; None asks for everything. A token is asked about as a whole, so a check
    of Harvest v3 ignores `only` and `remembered`. `granted_before` and `missing_before` are what is known of this very
    credential, by permission id: what says otherwise has to be shown more than once. `granted_by_list` are those of the
    former that a list of Harvest v3 showed while introspection named no scope.
    """

    manifest: Manifest
    features: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    remembered: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    granted_before: frozenset[str] = frozenset()
    granted_by_list: frozenset[str] = frozenset()
    missing_before: frozenset[str] = frozenset()
