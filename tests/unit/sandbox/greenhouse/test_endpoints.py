"""The sandbox knows every documented endpoint, and finds the one that a request means."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigurationError
from monitor.sandbox.greenhouse.endpoints import Endpoint, cells, endpoint_names, endpoints, routes
from monitor.sandbox.greenhouse.records import Records
from tests.cases import for_each
from tests.paths import FIXTURES
from tests.sandbox_session import zeroed

FACTS = json.loads((FIXTURES / "documented_endpoints.json").read_text("utf-8"))
DOCUMENTED: dict[str, dict[str, Any]] = {f"{row['method']} {row['path']}": row for row in FACTS["endpoints"]}
FORMER_WRITES = {f"{row['method']} {row['path']}" for row in FACTS["historical"] if row["method"] != "GET"}
ALL = list(endpoints().values())
WRITES = [endpoint for endpoint in ALL if endpoint.writes]


def named(endpoint: Endpoint) -> str:
    return endpoint.name


def test_it_has_the_documented_endpoints_and_former_writes() -> None:
    """The 138 documented endpoints, the writes of earlier documentation, and nothing else."""
    assert len(DOCUMENTED) == 138
    assert set(endpoints()) == set(DOCUMENTED) | FORMER_WRITES
    assert {endpoint.name for endpoint in ALL if endpoint.standing == "former"} == FORMER_WRITES
    assert sum(endpoint.standing == "deprecated" for endpoint in ALL) == 3


@for_each(DOCUMENTED)
def test_it_agrees_with_the_documentation(name: str) -> None:
    """Title, required body parameters and On-Behalf-Of are those of the documentation."""
    endpoint, facts = endpoints()[name], DOCUMENTED[name]
    assert endpoint.title == facts["title"]
    nested = name == "POST /v1/jobs/{job_id}/openings"  # its second required parameter is inside the first
    assert len(endpoint.needs) == facts["required_body"] - nested
    where = {"headers table": "table", "curl example only": "sample", "not mentioned": None}[facts["on_behalf_of"]]
    assert endpoint.on_behalf_of == (where if endpoint.writes else None)


@for_each(WRITES, ids=named)
def test_every_write_says_what_it_does(endpoint: Endpoint) -> None:
    """The text of a write's change names every placeholder of its path."""
    assert endpoint.does
    words = {placeholder: f"<{placeholder}>" for placeholder, _ in endpoint.refers}
    assert all(word in endpoint.does.format(**words) for word in words.values())


def test_every_collection_has_records() -> None:
    """There are records for whatever a path names or a GET reads."""
    records = Records(1, "")
    for endpoint in ALL:
        assert all(records.visible(collection) for _, collection in endpoint.refers)
        assert (
            endpoint.writes
            or endpoint.collection in ("activity_feed", "hiring_team")
            or records.visible(endpoint.collection)
        )


def test_the_cells_are_thirteen() -> None:
    """A class and a service make a cell; there is no PUT on applications."""
    classes = ("list", "by-id", "nested", "POST", "PATCH", "PUT", "DELETE")
    both = {f"{each}/{service}" for each in classes for service in ("applications", "rest")}
    assert set(cells()) == both - {"PUT/applications"}
    assert endpoints()["POST /v1/candidates/{id}/applications"].cell == "POST/rest"


@for_each(ALL, ids=named)
def test_a_request_finds_its_endpoint(endpoint: Endpoint) -> None:
    """The path with any values in its placeholders leads to the endpoint, with or without a slash at its end."""
    method, path = zeroed(endpoint).split(" ")
    for target in (path, path + "/"):
        found = routes().find(method, target)
        assert found is not None
        assert found == (endpoint, ("0",) * len(endpoint.refers))


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /",
        "GET /v1",
        "GET /v1/definitely-not-real-zzz",
        "GET /v3/candidates",
        "GET /V1/candidates",
        "PUT /v1/candidates",  # a method that this path does not have
        "HEAD /v1/candidates",
        "GET /v1/candidates/0/activity_feed/notes",  # that one is a POST
        "GET /v1/candidates/0/tags/0/0",
        "{} /v1/candidates",  # not to be taken for the routes' own mark
    ],
)
def test_unknown_requests_find_no_endpoint(request_line: str) -> None:
    """An unknown path, or a method that a path does not have."""
    method, path = request_line.split(" ")
    assert routes().find(method, path) is None


def test_a_literal_wins_over_a_placeholder() -> None:
    """`/v1/candidates/merge` is the merge, not a candidate called merge; an encoded slash does not split a segment."""
    merge, former = routes().find("PUT", "/v1/candidates/merge"), routes().find("PATCH", "/v1/users/permission_level")
    assert merge is not None
    assert merge[0].name == "PUT /v1/candidates/merge"
    assert former is not None
    assert former[0].name == "PATCH /v1/users/permission_level"
    assert routes().find("GET", "/v1/candidates/1%2Ftags") == (endpoints()["GET /v1/candidates/{id}"], ("1/tags",))


@given(st.sampled_from(["GET", "POST", "PUT", "*", "", "x"]), st.text(max_size=80))
def test_any_path_can_be_looked_up(method: str, path: str) -> None:
    """Every path leads to an endpoint of that method, or to none."""
    found = routes().find(method, path)
    assert found is None or found[0].method == method


def test_the_words_for_grants() -> None:
    """`gem` is the 62 required endpoints of its setup guide, `gem+eeoc` two more; `all` and `none` are as they say."""
    assert len(endpoint_names("all")) == 144
    assert endpoint_names("none") == frozenset()
    assert len(endpoint_names("gem")) == 62
    assert endpoint_names("gem+eeoc") - endpoint_names("gem") == {"GET /v1/eeoc", "GET /v1/applications/{id}/eeoc"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [("gems", "gem, gem+eeoc"), (["GET /v1/candidate"], "did you mean GET /v1/candidates"), (["nonsense"], "METHOD")],
)
def test_a_wrong_grant_is_named(words: str | list[str], hint: str) -> None:
    """An unknown grant is refused with a hint at valid ones."""
    with pytest.raises(ConfigurationError, match="'") as refusal:
        endpoint_names(words)
    assert hint in str(refusal.value)
