"""The catalogue agrees with what Greenhouse documents: each row's guards, and the list of what is never sent."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Cell, Entry, Hurdle, RequestClass, Role, Service, WriteProbes
from checks.errors import CatalogueError
from monitor.sandbox.greenhouse.endpoints import endpoints
from tests.cases import for_each
from tests.paths import FIXTURES

FACTS = json.loads((FIXTURES / "documented_endpoints.json").read_text("utf-8"))
DOCUMENTED: dict[str, dict[str, Any]] = {f"{row['method']} {row['path']}": row for row in FACTS["endpoints"]}
HISTORICAL: dict[str, dict[str, Any]] = {f"{row['method']} {row['path']}": row for row in FACTS["historical"]}
CATALOGUE = catalogue()
ENTRIES = [*CATALOGUE.probes.values(), *CATALOGUE.controls.values()]
WRITES = [entry for entry in ENTRIES if entry.is_write]
LISTS = [entry for entry in ENTRIES if entry.request_class is RequestClass.LIST]
DATE_FILTERS = {"created_after", "submitted_after"}


def named(entry: Entry) -> str:
    return entry.endpoint


def guards(entry: Entry) -> set[str]:
    return set(entry.guards.split("+"))


def query(entry: Entry) -> dict[str, str]:
    return dict(pair.split("=") for pair in entry.target.partition("?")[2].split("&") if pair)


def test_the_facts_are_complete() -> None:
    """The copy of the documented endpoints has all of them, once each."""
    assert len(FACTS["endpoints"]) == len(DOCUMENTED) == 138
    assert Counter(row["method"] for row in FACTS["endpoints"])["GET"] == 69
    assert len(HISTORICAL) == 12


def test_the_catalogue_has_its_size() -> None:
    """There are 64 probes, 19 controls and one anonymous request; no request and no endpoint occurs twice."""
    assert (len(CATALOGUE.probes), len(CATALOGUE.controls)) == (64, 19)
    assert len({entry.endpoint for entry in ENTRIES}) == 83
    assert len({(entry.method, entry.target) for entry in ENTRIES}) == 83
    assert [entry.role for entry in CATALOGUE.all_entries()] == [Role.PROBE] * 64 + [Role.CONTROL] * 19 + [
        Role.ANONYMOUS
    ]


@for_each(CATALOGUE.all_entries(), ids=named)
def test_a_request_is_its_documented_endpoint_with_zeros(entry: Entry) -> None:
    """Method and path are the documented ones; every path parameter is 0, except the type in custom fields' list."""
    method, path = entry.endpoint.split(" ")

    assert entry.endpoint in DOCUMENTED
    assert entry.method == method
    expected = "candidate" if path == "/v1/custom_fields/{field_type}" else "0"
    assert entry.target.partition("?")[0] == re.sub(r"\{[^}]+\}", expected, path)
    assert re.fullmatch(r"/v1(/[a-z_]+|/0)+(\?[a-z_]+=[A-Za-z0-9:-]+(&[a-z_]+=[A-Za-z0-9:-]+)*)?", entry.target)


@for_each(CATALOGUE.all_entries(), ids=named)
def test_guards_are_true(entry: Entry) -> None:
    """R is on reads only, Z where the path has ids, H on writes, B(n) with the documented count."""
    fact = DOCUMENTED[entry.endpoint]
    expected = {"R"}
    if entry.is_write:
        expected = {"H"} | ({"Z"} if "{" in fact["path"] else set())
        expected |= {f"B({fact['required_body']})"} if fact["required_body"] else set()

    assert guards(entry) == expected
    assert entry.is_write == (entry.method != "GET")


@for_each(CATALOGUE.all_entries(), ids=named)
def test_a_request_is_bound_to_fail_what_it_lacks_by_the_documentation(entry: Entry) -> None:
    """A record or parent iff an id in its target is 0, On-Behalf-Of iff it is a write, fields iff some are required."""
    looked_up = {Hurdle.PARENT, Hurdle.EMPTY_LIST} if entry.gives_list else {Hurdle.RECORD}
    expected = looked_up if "0" in entry.target.partition("?")[0].split("/") else set()
    expected |= {Hurdle.ON_BEHALF_OF} if entry.method != "GET" else set()
    expected |= {Hurdle.FIELDS} if DOCUMENTED[entry.endpoint]["required_body"] else set()

    assert entry.hurdles == expected


@for_each([entry for entry in ENTRIES if not entry.is_write], ids=named)
def test_a_read_gives_what_greenhouse_documents(entry: Entry) -> None:
    """A list or one record: by the class, under a record by the documented sample; and as the sandbox answers."""
    samples = {RequestClass.LIST: "array", RequestClass.BY_ID: "object"}
    sample = samples.get(entry.request_class) or DOCUMENTED[entry.endpoint]["sample"]

    assert entry.gives_list == (sample == "array")
    assert entry.gives_list != endpoints()[entry.endpoint].gives_object


@for_each(WRITES, ids=named)
def test_greenhouse_requires_on_behalf_of_for_every_listed_write(entry: Entry) -> None:
    """The guard H relies on the documentation: each listed write has On-Behalf-Of in its table or its example."""
    assert DOCUMENTED[entry.endpoint]["on_behalf_of"] in ("headers table", "curl example only")


def test_a_write_lacks_two_things_at_least() -> None:
    """No write relies on a single guard, and those without an id also lack required body fields."""
    assert all(len(guards(entry)) >= 2 for entry in WRITES)
    assert all(any(guard.startswith("B(") for guard in guards(entry)) for entry in WRITES if "Z" not in guards(entry))


@for_each(CATALOGUE.all_entries(), ids=named)
def test_no_request_has_content(entry: Entry) -> None:
    """Reads, deletions and the tag's PUT have no body; every other write has an empty object."""
    empty = not entry.is_write or entry.method == "DELETE" or entry.target == "/v1/candidates/0/tags/0"

    assert entry.body == (b"" if empty else b"{}")


@for_each(LISTS, ids=named)
def test_a_list_asks_for_as_little_as_it_can(entry: Entry) -> None:
    """At most one row, no count, and only rows from the far future, wherever the documentation has a parameter."""
    documented = set(DOCUMENTED[entry.endpoint]["query"])
    asked = query(entry)

    assert asked["per_page"] == "1"
    assert ("skip_count" in asked) == ("skip_count" in documented)
    assert asked.keys() & DATE_FILTERS == documented & DATE_FILTERS
    assert asked.keys() <= {"per_page", "skip_count", *DATE_FILTERS}
    assert all(asked[name] == "2100-01-01T00:00:00Z" for name in asked.keys() & DATE_FILTERS)


@for_each([entry for entry in ENTRIES if entry not in LISTS], ids=named)
def test_only_lists_have_a_query(entry: Entry) -> None:
    """A request for one record and a write have no query."""
    assert "?" not in entry.target


@for_each(ENTRIES, ids=named)
def test_a_class_follows_from_method_and_path(entry: Entry) -> None:
    """Writes by method; reads are lists without an id, by id if it is at the end, nested if more follows."""
    path = DOCUMENTED[entry.endpoint]["path"].replace("{field_type}", "candidate")
    if entry.is_write:
        expected = RequestClass(entry.method)
    elif "{" not in path:
        expected = RequestClass.LIST
    else:
        expected = RequestClass.BY_ID if path.endswith("}") else RequestClass.NESTED

    assert entry.request_class is expected
    served_apart = path.startswith("/v1/applications")
    assert entry.cell == Cell(expected, Service.APPLICATIONS if served_apart else Service.REST)
    assert entry.segment == path.split("/")[2]


def test_every_cell_but_one_has_a_control() -> None:
    """Each cell whose probes need a control has one, except GET by id of applications, which borrows."""
    needing = {entry.cell for entry in CATALOGUE.probes.values() if entry.request_class is not RequestClass.LIST}
    without = {cell for cell in needing if not CATALOGUE.controls_of(cell)}

    assert without == {Cell(RequestClass.BY_ID, Service.APPLICATIONS)}
    for cell in needing - without:
        assert all(entry.cell == cell and entry.role is Role.CONTROL for entry in CATALOGUE.controls_of(cell))


@for_each(CATALOGUE.controls.values(), ids=named)
def test_a_control_has_the_title_of_the_documentation(entry: Entry) -> None:
    """What a control finds is shown to people, so it has Greenhouse's own title."""
    assert entry.title == DOCUMENTED[entry.endpoint]["title"]


def test_lists_of_a_service_are_its_positive_controls() -> None:
    """Applications have one list, the rest have the other 21."""
    assert [entry.endpoint for entry in CATALOGUE.lists_of(Service.APPLICATIONS)] == ["GET /v1/applications"]
    assert len(CATALOGUE.lists_of(Service.REST)) == 21


def test_an_entry_is_found_by_its_endpoint() -> None:
    """Probes and controls are found by their documented endpoint and by nothing else."""
    assert CATALOGUE.entry("GET /v1/jobs/{id}").target == "/v1/jobs/0"
    assert CATALOGUE.entry("GET /v1/jobs/{id}/hiring_team").role is Role.CONTROL
    for endpoint in ("GET /v1/jobs/0", "get /v1/jobs", "DELETE /v1/candidates/{id}", ""):
        with pytest.raises(CatalogueError, match=re.escape(repr(endpoint))):
            CATALOGUE.entry(endpoint)


@for_each(CATALOGUE.all_entries(), ids=named)
def test_no_listed_request_is_forbidden(entry: Entry) -> None:
    """No request of the catalogue matches a rule of the never-list."""
    assert CATALOGUE.never_rule(entry.method, entry.target) is None


def test_every_documented_write_is_listed_or_forbidden() -> None:
    """Every write that Greenhouse documents, now or earlier, is in one of the two lists; nothing else is forbidden."""
    documented = {endpoint for endpoint in (*DOCUMENTED, *HISTORICAL) if not endpoint.startswith("GET ")}
    listed = {entry.endpoint for entry in WRITES}
    never = {rule.endpoint for rule in CATALOGUE.never}

    assert listed | never == documented
    assert not listed & never
    assert len(CATALOGUE.never) == len(never)


NEVER_BY_NAME = [
    "POST /v1/applications/{id}/unreject",
    "POST /v1/applications/{id}/hire",
    "POST /v1/approval_flows/{id}/request_approvals",
    "PUT /v1/candidates/{id}/anonymize",
    "POST /v1/tags/candidate",
    "DELETE /v1/tags/candidate/{tag_id}",
    "DELETE /v1/candidates/{id}",
    "DELETE /v1/applications/{id}",
    "POST /v1/departments",
    "POST /v1/offices",
    "POST /v1/jobs",
    "POST /v1/users",
    "POST /v1/custom_fields",
]


@pytest.mark.parametrize("endpoint", NEVER_BY_NAME)
def test_what_acts_when_empty_is_never_sent(endpoint: str) -> None:
    """Requests that are complete when empty, or that create or delete, are on the never-list by name."""
    assert endpoint in {rule.endpoint for rule in CATALOGUE.never}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/candidates/0"),
        ("DELETE", "/v1/candidates/19214950003"),
        ("DELETE", "/v1/candidates/{id}"),
        ("delete", "/v1/candidates/7"),
        ("DELETE", "/V1/Candidates/7"),
        ("DELETE", "//v1//candidates///7"),
        ("DELETE", "/v1/candidates/7/"),
        ("DELETE", "/v1/candidates/7?confirm=true"),
        ("DELETE", "/v1/c%61ndidates/7"),
        ("DELETE", "/v1%2Fcandidates%2f7"),
        ("DELETE", "/v1/candidates/%37"),
        ("PUT", "/v1/candidates/7/anonymize?fields=full_name"),
        ("PATCH", "/v2/users"),  # documented with a slash at the end
        ("PATCH", "/v2/users/"),
    ],
)
def test_a_forbidden_request_is_recognized_in_any_spelling(method: str, path: str) -> None:
    """Ids, letter case, %-encoding, doubled slashes, a slash at the end and a query hide nothing."""
    assert CATALOGUE.never_rule(method, path) is not None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/candidates/0"),  # the same path with another method
        ("PATCH", "/v1/candidates/0"),
        ("DELETE", "/v1/candidates/0/tags/0"),  # longer than a forbidden path
        ("POST", "/v1/candidates"),  # opt-in, not forbidden
        ("PUT", "/v1/candidates/merge"),
    ],
)
def test_a_rule_forbids_its_own_request_only(method: str, path: str) -> None:
    """A rule is for one method and one path."""
    assert CATALOGUE.never_rule(method, path) is None


@given(data=st.data())
def test_a_forbidden_request_is_recognized_in_any_disguise(data: st.DataObject) -> None:
    """With any id in it, any letter encoded, in any case, and with any slashes doubled."""
    rule = data.draw(st.sampled_from(CATALOGUE.never))
    method, path = rule.endpoint.split(" ")
    path = re.sub(r"\{[^}]+\}", lambda _: str(data.draw(st.integers(0, 10**11))), path)
    disguises = st.sampled_from([str.lower, str.upper, lambda letter: f"%{ord(letter):02x}"])
    disguised = "".join(
        letter * data.draw(st.integers(1, 3)) if letter == "/" else data.draw(disguises)(letter) for letter in path
    )

    assert CATALOGUE.never_rule(data.draw(st.sampled_from([method, method.lower()])), disguised) is not None


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        (WriteProbes.OFF, {WriteProbes.OFF}),
        (WriteProbes.SAFE, {WriteProbes.OFF, WriteProbes.SAFE}),
        (WriteProbes.ALL, {WriteProbes.OFF, WriteProbes.SAFE, WriteProbes.ALL}),
    ],
)
def test_a_setting_allows_what_needs_no_more(setting: WriteProbes, allowed: set[WriteProbes]) -> None:
    """`off` lets reads through, `safe` also writes with id 0, `all` also the rest."""
    assert {needed for needed in WriteProbes if setting.allows(needed)} == allowed


def test_writes_without_an_id_need_all() -> None:
    """The three writes without an id are sent under `all` only, the other writes from `safe` on, reads always."""
    needing = {need: {entry.endpoint for entry in ENTRIES if entry.needs is need} for need in WriteProbes}

    assert needing[WriteProbes.ALL] == {"POST /v1/candidates", "POST /v1/prospects", "PUT /v1/candidates/merge"}
    assert needing[WriteProbes.OFF] == {entry.endpoint for entry in ENTRIES if entry.method == "GET"}
    assert len(needing[WriteProbes.SAFE]) == len(WRITES) - 3
    assert CATALOGUE.anonymous.needs is WriteProbes.OFF


def test_the_anonymous_request_is_one_plain_read() -> None:
    """The only request without a key is for a candidate that does not exist, without a parameter."""
    assert (CATALOGUE.anonymous.method, CATALOGUE.anonymous.target) == ("GET", "/v1/candidates/0")
