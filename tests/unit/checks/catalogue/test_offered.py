"""The permissions that Greenhouse offers: all that it documents, under the labels that setup guides use."""

import json

from checks.catalogue import scopes
from checks.catalogue.endpoints import catalogue
from checks.catalogue.offered import OfferedPermission, by_request, holding, labelled, nearest, offered, plain
from checks.manifest import Permission, load
from tests.cases import for_each
from tests.paths import FIXTURES

DOCUMENTED = json.loads((FIXTURES / "documented_endpoints.json").read_text("utf-8"))["endpoints"]
TITLES = {f"{row['method']} {row['path']}": row["title"] for row in DOCUMENTED}
# Struck through in the documentation: nobody can tick them any more.
WITHDRAWN = {
    "DELETE /v1/jobs/{job_id}/openings",
    "POST /v1/scheduled_interviews",
    "PATCH /v1/scheduled_interviews/{id}",
}


def labels_of(one: OfferedPermission) -> str:
    return one.label


def test_every_documented_request_is_offered_once() -> None:
    """And nothing else is, but the one label that has no documented request."""
    assert set(by_request()) == set(TITLES) - WITHDRAWN
    assert [one.label for one in offered() if one.request is None] == ["GET: Retrieve application’s scorecard"]
    assert len(offered()) == len(by_request()) + 1


def test_every_request_of_the_catalogue_can_be_found_by_a_label() -> None:
    """Otherwise a manifest could name what `manifest endpoints` does not show."""
    sendable = {*catalogue().probes, *catalogue().controls}
    assert {one.endpoint for one in offered() if one.entry is not None} == sendable


@for_each([one for one in offered() if one.request is not None], ids=labels_of)
def test_the_title_of_the_documentation_is_among_the_labels(one: OfferedPermission) -> None:
    """So that who reads Greenhouse's documentation finds the permission as well."""
    assert plain(TITLES[one.request or ""]) in {plain(label) for label in one.labels}
    assert all(name in scopes.known() for name in one.scopes)


@for_each(load("gem").permissions, ids=lambda permission: permission.label)
def test_the_built_in_manifest_agrees(permission: Permission) -> None:
    """What Gem's manifest says of a label, in request, certainty and scopes, is what every vendor is given."""
    found = labelled(permission.label)
    assert found is not None
    assert (found.group, found.scopes, found.mapping) == (permission.group, permission.scopes, permission.mapping)
    assert found.effect == permission.effect
    assert (None if found.entry is None else found.entry.endpoint) == permission.endpoint


def test_no_label_means_two_permissions() -> None:
    """Not even where capitals, blanks and apostrophes are ignored."""
    written = [plain(label) for one in offered() for label in one.labels]
    assert len(written) == len(set(written))


@for_each(["get:retrieve candidate", "GET : Retrieve  Candidate", "GET: Retrieve candidate."])
def test_a_label_is_found_however_it_is_written(label: str) -> None:
    """As vendors write them in their guides."""
    found = labelled(label)
    assert found is not None
    assert found.request == "GET /v1/candidates/{id}"


def test_an_unknown_label_has_its_nearest() -> None:
    """Best first; and none where nothing is like it."""
    assert labelled("GET: Retrieve Jobs") is None
    assert nearest("GET: Retrieve Jobs")[0].label == "GET: Retrieve job"
    assert nearest("Lorem ipsum dolor") == ()


def test_words_are_searched_from_their_beginning() -> None:
    """`move` is not in `Remove`; every word has to be found; group, request and scopes are searched as well."""
    assert {one.request for one in holding(["move", "application"])} == {
        "POST /v1/applications/{id}/advance",
        "POST /v1/applications/{id}/move",
        "POST /v1/applications/{id}/transfer_to_job",
    }
    assert [one.endpoint for one in holding(["offers", "patch"])] == ["none"]
