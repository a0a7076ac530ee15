"""From the permissions of a v1 key to the scopes of Harvest v3."""

from dataclasses import replace

import pytest

from checks.credential import CredentialState
from checks.manifest import Manifest, load
from monitor.tenants.v3_migration import (
    MigrationStage,
    V1Key,
    needed_scopes,
    permissions_of,
    scopes_origin,
    without_scope,
)

GEM = load("gem")


def a_key(*, features: tuple[str, ...] = (), declined: tuple[str, ...] = ()) -> V1Key:
    return V1Key(
        "acme", "Acme", None, None, features, declined, "Gem", None, CredentialState.OK, None, MigrationStage.NOT_BEGUN
    )


def scopes_of(key: V1Key) -> set[str]:
    return {one.scope.name for scopes in needed_scopes(permissions_of(key, GEM)).values() for one in scopes}


def test_each_scope_says_which_permissions_it_replaces() -> None:
    """Scopes are listed once, under Greenhouse's headings and titles, with every permission that needs them."""
    found = needed_scopes(GEM.permissions)
    assert list(found) == sorted(found)
    moving = {one.scope.title: [p.label for p in one.permissions] for one in found["Applications"]}["Move applications"]
    assert moving == ["POST: Advance Application", "POST: Move Application", "POST: Moves Application to Job"]
    names = [one.scope.name for scopes in found.values() for one in scopes]
    assert len(names) == len(set(names)) == 38
    assert {name for permission in GEM.permissions for name in permission.scopes} == set(names)


def test_a_scope_is_optional_where_only_features_need_it() -> None:
    """A scope that every tenant needs is not made optional by a feature that also needs it."""
    by_name = {one.scope.name: one for scopes in needed_scopes(GEM.permissions).values() for one in scopes}
    assert {name for name, one in by_name.items() if one.features} == {"harvest:eeoc:list"}
    assert by_name["harvest:eeoc:list"].features == ("eeoc",)
    (eeoc,) = [p for p in GEM.permissions if p.label == "GET: List EEOC"]
    ((both,),) = needed_scopes([eeoc, replace(eeoc, feature=None)]).values()
    assert both.features == ()


def test_a_tenant_needs_no_scope_of_declined_permissions_and_other_features() -> None:
    """A declined permission removes its scope only if nothing else needs that scope."""
    plain = scopes_of(a_key())
    assert scopes_of(a_key(features=("eeoc",))) - plain == {"harvest:eeoc:list"}
    assert scopes_of(a_key(declined=("GET: List Users",))) == plain  # users.retrieve_user needs it as well
    assert plain - scopes_of(a_key(declined=("GET: List Users", "users.retrieve_user"))) == {"harvest:users:list"}
    assert scopes_of(a_key(declined=("of another manifest",))) == plain


def test_a_permission_without_a_scope_is_named() -> None:
    """A list of scopes is never called complete if a permission has no scope yet."""
    bare = replace(GEM.permissions[0], scopes=())
    assert without_scope([bare, GEM.permissions[1]]) == (bare,)
    assert without_scope(GEM.permissions) == ()


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (GEM, "derived from the permissions of a v1 key"),
        (replace(GEM, v3_source="published"), "that Gem published"),
        (replace(GEM, v3_source=None), "names no Harvest v3 scopes"),
    ],
)
def test_the_origin_of_a_list_is_stated(manifest: Manifest, message: str) -> None:
    """A derived list is not presented as the vendor's own."""
    assert message in scopes_origin(manifest)
