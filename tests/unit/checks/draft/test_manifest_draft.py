"""A first manifest: what is known comes out as in Gem's, what is not is kept and marked; the file is always valid."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.offered import offered
from checks.catalogue.scopes import known
from checks.draft.guide_text import as_label, read
from checks.draft.manifest_draft import ManifestDraft, Match, draft
from checks.draft.manifest_file import ManifestHead, text
from checks.manifest import Manifest, Permission, load, parse
from tests.cases import for_each
from tests.paths import FIXTURES

HEAD = ManifestHead("lumen", "2026-11-30", "Lumen: Scheduling", "https://lumen.example/setup #3")
GUIDE = (FIXTURES / "manifests" / "gem-setup-guide.txt").read_text("utf-8")
LABELS = [label for one in offered() for label in one.labels]


def of_text(words: str) -> ManifestDraft:
    return draft(read(words).asked)


def manifest(made: ManifestDraft) -> Manifest:
    return parse(text(HEAD, made), "lumen.yaml")


def only(words: str) -> Permission:
    (one,) = of_text(words).permissions
    return one.permission


def test_gems_guide_gives_gems_manifest() -> None:
    """Every id, endpoint, certainty, scope and feature; what people wrote into it (impact) is left to fill in."""
    # The article has one label with a blank that nobody else writes.
    gem = [replace(one, impact="", label=one.label.replace("POST :", "POST:")) for one in load("gem").permissions]
    assert list(manifest(of_text(GUIDE)).permissions) == gem


def test_an_unknown_label_is_kept_and_says_what_is_near() -> None:
    """It is no error: it stands in the file, under its heading, not checkable, with the nearest in a comment."""
    made = of_text("Widgets\n- GET: Retrieve Jobs\n")
    (one,) = made.permissions
    assert (one.match, one.permission.group, one.permission.endpoint) == (Match.UNKNOWN, "Widgets", None)
    assert "# CHECK: this release knows no such label (line 2: GET: Retrieve Jobs)" in text(HEAD, made)
    assert "#   perhaps Jobs › GET: Retrieve job, endpoint GET /v1/jobs/{id}" in text(HEAD, made)
    assert manifest(made).permissions == (one.permission,)


@for_each(
    [
        ("GET: List offers (only in the US)", "GET /v1/offers"),
        ("GET: List offers - we use this to sync", "GET /v1/offers"),
        ("POST: Move Application (Same Job)", "POST /v1/applications/{id}/move"),
    ],
    ids=lambda case: case[0],
)
def test_a_note_behind_a_label_does_not_hide_it(case: tuple[str, str]) -> None:
    """Unless it belongs to the label."""
    given_label, endpoint = case
    assert only(given_label).endpoint == endpoint


def test_what_cannot_be_checked_says_why() -> None:
    """Never sent, outside the catalogue, or documented nowhere; the scopes of Harvest v3 are there all the same."""
    made = of_text("PATCH: Update Current Offer\nGET: List Prospect Pools\nGET: Retrieve application's scorecard\n")
    assert [one.note for one in made.permissions] == [
        "PATCH /v1/applications/{id}/offers/current_offer could change something, so it is never sent",
        "GET /v1/prospect_pools is not in the catalogue of this release",
        "no documented request belongs to this label",
    ]
    assert all(one.permission.scopes for one in made.permissions)


def test_a_title_of_the_documentation_leaves_no_doubt() -> None:
    """Where the label on the screen could be read as another request."""
    assert only("POST: Move Application").mapping == "likely"
    assert only("POST: Move Application (Same Job)").mapping == "exact"


def test_one_permission_under_two_labels_is_there_once() -> None:
    """One request cannot decide two; a scope that a label stands for is no permission of its own either."""
    made = of_text("harvest:interviews:list\nGET: List interviews\nGET: List Scheduled Interviews\n")
    assert [one.permission.label for one in made.permissions] == ["GET: List interviews"]
    assert [one.name for one in made.repeated] == ["harvest:interviews:list", "GET: List Scheduled Interviews"]


@for_each(
    [
        ("GET: List offers", "derived"),
        ("GET: List offers\nharvest:offers:list", "published"),
        ("harvest:offers:list", "published"),
        ("GET: List offers\nharvest:jobs:list", "derived"),
        ("GET: Hiring Team", None),
    ],
    ids=lambda case: case[0],
)
def test_scopes_are_published_only_if_the_vendor_named_all_of_them(case: tuple[str, str | None]) -> None:
    """Derived ones are said to be so, in the file as well."""
    words, v3_source = case
    assert of_text(words).v3_source == manifest(of_text(words)).v3_source == v3_source


def test_scopes_alone_make_a_manifest_of_harvest_v3() -> None:
    """For who never had a list of v1: by heading and title as on Greenhouse's screen."""
    one = only("Prospect details (optional)\n- List prospect details")
    assert (one.id, one.group, one.label) == ("prospect_details.list", "Prospect details", "List prospect details")
    assert (one.endpoint, one.scopes, one.feature) == (None, ("harvest:prospect_details:list",), "prospect_details")


def test_all_that_is_offered_makes_a_valid_manifest() -> None:
    """Every label and every scope at once."""
    made = of_text("\n".join([*(one.label for one in offered()), *known()]))
    assert len(manifest(made).permissions) == len(made.permissions) > len(offered())


@given(st.lists(st.text(max_size=60) | st.sampled_from([*LABELS, *known()]), min_size=1, max_size=12))
def test_whatever_is_named_the_file_is_valid(names: list[str]) -> None:
    """And nothing of it is lost: each is a permission, or is told as repeated."""
    asked = [as_label(name) for name in names if name.isprintable() and name.strip(" -*+•")]
    made = draft(asked)
    assert len(made.permissions) + len(made.repeated) == len(asked)
    if made.permissions:
        assert {one.id for one in manifest(made).permissions} == {one.permission.id for one in made.permissions}
