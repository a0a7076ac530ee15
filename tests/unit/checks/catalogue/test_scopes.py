"""The scopes of Harvest v3: complete, titled, and tested by requests that cannot change anything."""

import re

import pytest

from checks.catalogue.scopes import grouped, known, scope
from checks.manifest import load
from tests.cases import for_each


def test_every_documented_scope_is_there_once() -> None:
    """162 of Harvest and one of the audit log, as documented in September 2026."""
    assert len(known()) == 163
    assert sum(name.startswith("harvest:") for name in known()) == 162


@for_each(known())
def test_a_scope_is_complete(name: str) -> None:
    """Its name has Greenhouse's grammar, it has a title, and its list reads one record of its own resource."""
    found = known()[name]
    assert re.fullmatch(r"(harvest|auditlog):[a-z_]+:[a-z_]+", name)
    assert found.title
    if found.list is not None:
        assert found.list == f"/v3/{found.resource}?per_page=1"
        assert found.is_read


def test_gems_permissions_need_thirty_seven_scopes_and_one_more_for_eeoc() -> None:
    """Each of the 65 names scopes that Greenhouse has."""
    manifest = load("gem")
    assert all(set(permission.scopes) <= known().keys() and permission.scopes for permission in manifest.permissions)
    required = {name for permission in manifest.applying_to([]) for name in permission.scopes}
    assert len(required) == 37
    assert {name for permission in manifest.outside([]) for name in permission.scopes} == {"harvest:eeoc:list"}


def test_scopes_are_grouped_as_on_greenhouses_screen() -> None:
    """By resource, headings and titles in alphabetical order, each scope once however often it is needed."""
    shown = grouped(
        ["harvest:jobs:list", "harvest:applications:move", "harvest:applications:list", "harvest:jobs:list"]
    )
    assert {group: [one.title for one in of_one] for group, of_one in shown.items()} == {
        "Applications": ["List applications", "Move applications"],
        "Jobs": ["List jobs"],
    }


@pytest.mark.parametrize(
    ("name", "group", "title"),
    [("harvest:new_things:do_it", "New things", "Do it"), ("odd", "Odd", "Odd"), ("a:", "", "")],
)
def test_an_unknown_scope_is_titled_by_its_name(name: str, group: str, title: str) -> None:
    """Greenhouse may add scopes at any time."""
    assert (scope(name).group, scope(name).title) == (group, title)
