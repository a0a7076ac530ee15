"""Manifests: Gem's is the setup guide's list, any vendor can write its own, and none can cause a new request."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from checks.catalogue.endpoints import catalogue
from checks.catalogue.entry import Role, WriteProbes
from checks.catalogue.scopes import scope
from checks.errors import DocumentError, ManifestError
from checks.manifest import Manifest, Permission, built_in, compare, load, parse
from tests.cases import for_each
from tests.paths import FIXTURES, ROOT

MANIFESTS = FIXTURES / "manifests"
# The walk-through before it is run by the acceptance tests.
DOCS = (ROOT / "docs" / "manifests.md").read_text("utf-8").split("\n## An example\n")[1]
LUMEN = (MANIFESTS / "lumen.yaml").read_text("utf-8")
GEM = load("gem")
KNOWN = {**catalogue().probes, **catalogue().controls}


def guide() -> list[tuple[str, str]]:
    """Group and label of every line of step 3 of the setup guide, in its order, without the sentences in between."""
    group, found = "", []
    for line in (MANIFESTS / "gem-setup-guide.txt").read_text("utf-8").splitlines():
        if line.startswith("- "):
            found.append((group, line.removeprefix("- ")))
        elif not line.endswith("."):
            group = line.removesuffix(" (Optional)")
    return found


def slug(permission: Permission) -> str:
    label = re.sub(r"^[A-Z]+ ?: ", "", permission.label)
    words = [re.sub(r"[^a-z0-9]+", "_", text.replace("’", "").lower()) for text in (permission.group, label)]
    return ".".join(words)


def test_gem_is_the_setup_guide_letter_for_letter() -> None:
    """Gem's manifest has the guide's 65 permissions, in the guide's order, with exactly its groups and labels."""
    assert [(permission.group, permission.label) for permission in GEM.permissions] == guide()
    assert len(guide()) == 65
    assert ("Applications", "POST : Reject Application") in guide()  # with its space
    assert ("Offers", "GET: List application\u2019s offers") in guide()  # with its apostrophe
    assert list(GEM.groups) == list(dict.fromkeys(group for group, _ in guide()))


def test_gem_requires_63_and_2_with_eeoc() -> None:
    """Every tenant needs 63 permissions; the feature `eeoc` needs the two under EEOC."""
    assert len(GEM.applying_to([])) == 63
    assert GEM.applying_to(["eeoc"]) == GEM.permissions
    assert GEM.outside(["eeoc"]) == ()
    assert [permission.group for permission in GEM.outside([])] == ["EEOC", "EEOC"]
    assert list(GEM.features) == ["eeoc"]


def test_gem_asks_for_each_permission_with_a_request_of_its_own() -> None:
    """64 permissions name the 64 probes, each once and with the method of the label; one names none."""
    named = [permission for permission in GEM.permissions if permission.endpoint]

    assert Counter(permission.endpoint for permission in named) == Counter(list(catalogue().probes))
    assert all(str(permission.endpoint).split()[0] == permission.label.split(":")[0].strip() for permission in named)
    assert [permission.label for permission in GEM.permissions if not permission.endpoint] == [
        "GET: Retrieve application’s scorecard"
    ]


def test_gem_marks_what_is_only_likely() -> None:
    """Five labels could mean another endpoint, and are marked `likely`."""
    assert [permission.label for permission in GEM.permissions if permission.mapping == "likely"] == [
        "POST: Move Application",
        "POST: Moves Application to Job",
        "POST: Add E-mail",
        "GET: Get custom fields",
        "GET: Retrieve Job Tracking Link",
    ]


# Where a label and its endpoint have no word in common, or many endpoints have the same words: no other test would
# notice if two rows were swapped.
@pytest.mark.parametrize(
    ("label", "endpoint", "scopes"),
    [
        ("POST: Move Application", "POST /v1/applications/{id}/move", ["applications:move"]),
        ("POST: Moves Application to Job", "POST /v1/applications/{id}/transfer_to_job", ["applications:move"]),
        ("POST: Add Prospect", "POST /v1/prospects", ["candidates:create"]),
        ("POST: Add E-mail", "POST /v1/candidates/{id}/activity_feed/emails", ["notes:create"]),
        ("GET: Retrieve Activity Feed", "GET /v1/candidates/{id}/activity_feed", ["notes:list"]),
        ("GET: Get degrees", "GET /v1/degrees", ["custom_field_options:list"]),
        ("GET: Retrieve job post for job", "GET /v1/jobs/{id}/job_post", ["job_posts:list"]),
        ("GET: List job posts for job", "GET /v1/jobs/{id}/job_posts", ["job_posts:list"]),
        ("GET: List job stages for job", "GET /v1/jobs/{id}/stages", ["job_interview_stages:list"]),
        ("GET: List candidate tags", "GET /v1/tags/candidate", ["candidate_tags:list"]),
        ("GET: List tags applied to candidate", "GET /v1/candidates/{id}/tags", ["applied_candidate_tags:list"]),
        ("PATCH: Convert a prospect", "PATCH /v1/applications/{id}/convert_prospect", None),
        ("GET: List User Future Job Permissions", "GET /v1/users/{id}/permissions/future_jobs", None),
    ],
)
def test_gem_means_the_right_endpoint(label: str, endpoint: str, scopes: list[str] | None) -> None:
    """A label's endpoint and v3 scopes are those that Greenhouse's documentation has for it."""
    permission = GEM.permission(label)

    assert permission.endpoint == endpoint
    assert scopes is None or permission.scopes == tuple(f"harvest:{scope}" for scope in scopes)


def test_gem_has_derived_scopes_for_every_permission() -> None:
    """All 65 have scopes, 37 different ones without EEOC and one more with it, marked as derived, not Gem's own."""
    assert GEM.v3_source == "derived"
    assert all(permission.scopes for permission in GEM.permissions)
    required = {scope for permission in GEM.applying_to([]) for scope in permission.scopes}
    assert len(required) == 37
    assert {scope for permission in GEM.outside([]) for scope in permission.scopes} == {"harvest:eeoc:list"}


def test_gem_states_an_impact_only_where_the_guide_does() -> None:
    """The guide states consequences for EEOC only; the manifest invents none."""
    assert {permission.group for permission in GEM.permissions if permission.impact} == {"EEOC"}


def test_gem_says_what_each_permission_allows_in_the_words_of_its_label(subtests: pytest.Subtests) -> None:
    """Every permission has an effect: the label's verb and noun, and beside them only the record that the request is
    about, as the endpoint, the group or Greenhouse's title for it names it. None is invented.
    """
    for permission in GEM.permissions:
        with subtests.test(label=permission.label):
            verb, *nouns = _words(permission.effect)
            said = _words(permission.label.partition(":")[2])
            wanted = said if said[0] in _VERBS else ["list", *said]  # "Custom Field Options" has no verb
            assert verb == wanted[0]
            assert set(wanted[1:]) <= set(nouns)
            sources = f"{permission.label} {permission.group} {permission.endpoint} {_TITLES.get(permission.id, '')}"
            assert set(nouns) <= {*_words(sources), "datum"}


_VERBS = {"retrieve", "list", "update", "advance", "move", "reject", "convert", "edit", "add", "merge", "get", "remove"}
_TITLES = {  # Greenhouse's documentation, where its title says more than the label
    "applications.convert_a_prospect": "Convert Prospect To Candidate",
    "applications.moves_application_to_job": "Move Application (Different Job): another job",
}
_NO_NOUNS = {"a", "an", "the", "to", "for", "from", "of", "two"}


def _words(text: str) -> list[str]:
    """In lower case and singular, without articles and the like."""
    found = re.findall(r"[a-z]+(?:-mails?)?", re.sub(r"[’']s?\b", "", text.replace("_", " ")).lower())
    singular = [re.sub(r"(?<=[^s])s$", "", re.sub(r"ies$", "y", word)) for word in found]
    return [{"data": "datum"}.get(word, word) for word in singular if word not in _NO_NOUNS]


def test_every_scope_of_gem_has_a_verb_phrase() -> None:
    """Greenhouse's title, as words that go on after "can no longer"; ours where the title is no phrase."""
    named = {name for permission in GEM.permissions for name in permission.scopes}
    phrases = {name: scope(name).effect for name in named}
    own = {"harvest:applications:convert_to_candidate", "harvest:eeoc:list"}
    assert {name for name in named if phrases[name].capitalize() != scope(name).title} == own
    assert phrases["harvest:applications:convert_to_candidate"] == "convert prospects to candidates"
    assert phrases["harvest:jobs:list"] == "list jobs"


@pytest.mark.parametrize("effect", ["List offers", "list offers."])
def test_an_effect_goes_on_after_can_no_longer(effect: str) -> None:
    """It is a phrase within a sentence, and the message shows one."""
    text = LUMEN.replace("    impact: Candidates do", f"    effect: {effect}\n    impact: Candidates do")
    with pytest.raises(ManifestError, match=r"permissions\[1\].effect: must go on after “can no longer”"):
        parse(text, "lumen.yaml")


def test_gem_ids_follow_group_and_label() -> None:
    """An id is made of the group and of the label without its method; history is stored under it."""
    assert [permission.id for permission in GEM.permissions] == [slug(permission) for permission in GEM.permissions]
    assert GEM.permission("applications.list_applications").label == "GET: List Applications"
    assert GEM.permission("tags.remove_tag_from_candidate").label == "DELETE: Remove tag from candidate"


def test_the_header_says_where_the_list_comes_from() -> None:
    """The beginning of Gem's file names the article that it copies."""
    text = (ROOT / "checks" / "manifests" / "gem.yaml").read_text("utf-8")

    assert "Setting up your Greenhouse Harvest API Key" in text[:300]
    assert "Setting up your Greenhouse Harvest API Key" in GEM.source


def requests_of(manifest: Manifest) -> set[tuple[str, str]]:
    entries = [catalogue().entry(permission.endpoint) for permission in manifest.permissions if permission.endpoint]
    return {(entry.method, entry.target) for entry in entries}


def test_another_vendor_needs_only_a_file() -> None:
    """Lumen's manifest is its file, with its own feature, a control as an endpoint and a line without one."""
    lumen = load(str(MANIFESTS / "lumen.yaml"))

    assert (lumen.name, lumen.version, lumen.v3_source) == ("lumen", "3", "published")
    assert [permission.id for permission in lumen.outside([])] == ["offices.list_offices"]
    assert len(lumen.applying_to(["rooms", "eeoc"])) == len(lumen.permissions) == 9
    assert lumen.permission("GET: Hiring Team").endpoint in catalogue().controls
    assert lumen.permission("scheduled_interviews.create").endpoint is None
    assert lumen.permission("jobs.hiring_team").scopes == (
        "harvest:job_owners:list",
        "harvest:job_hiring_managers:list",
    )


def test_another_vendor_cannot_cause_a_new_request() -> None:
    """All that Lumen's manifest can cause is in the catalogue, and its write without an id still needs `all`."""
    lumen = parse(LUMEN, "lumen.yaml")

    assert requests_of(lumen) < {(entry.method, entry.target) for entry in KNOWN.values()}
    assert all(entry.role is not Role.ANONYMOUS for entry in KNOWN.values())
    assert catalogue().entry(str(lumen.permission("candidates.merge").endpoint)).needs is WriteProbes.ALL


OUTSIDE = [
    "DELETE /v1/candidates/{id}",  # never sent
    "POST /v1/applications/{id}/hire",
    "DELETE /v1/candidates/0",
    "POST /v1/applications/%7Bid%7D/unreject",
    "GET /v1/jobs/0",  # ids filled in
    "GET /v1/jobs/19214950003",
    "GET /v1/candidates?per_page=500",  # a query
    "GET /v1/candidates?per_page=1&skip_count=true&created_after=2100-01-01T00:00:00Z",  # the catalogue's own
    "GET https://harvest.greenhouse.io/v1/jobs",  # a host
    "GET //evil.example/v1/jobs",
    "GET evil.example/v1/jobs",
    "get /v1/jobs",  # letter case
    "GET /V1/jobs",
    "GET  /v1/jobs",  # white space
    "GET /v1/jobs/",
    "GET /v1/jobs/{job_id}",  # another name of the parameter
    "GET /v1/jobs/../candidates",
    "/v1/jobs",
    "GET",
    "HEAD /v1/jobs",
    "POST /v1/jobs",
    "GET /v3/jobs",
    "NONE",
    "GET /v1/approval_flows",  # documented, and not in the catalogue
]


@for_each(OUTSIDE)
def test_an_endpoint_outside_the_catalogue_is_refused(endpoint: str) -> None:
    """Anything that is not exactly an endpoint of the catalogue is refused by name, line and field."""
    text = LUMEN.replace("GET /v1/scorecards", f'"{endpoint}"')
    line = text[: text.index(f'"{endpoint}"')].count("\n") + 1

    with pytest.raises(ManifestError) as caught:
        parse(text, "vendor.yaml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"vendor.yaml:{line}: permissions[6].endpoint: {endpoint!r} is ")
    assert "none" in problem


@given(st.one_of(st.text(max_size=40), st.from_regex(r"(GET|POST|DELETE) /v1/[a-z_/{}0-9?=]{0,30}", fullmatch=True)))
def test_no_text_becomes_a_request(endpoint: str) -> None:
    """Any text as an endpoint is refused, unless it is one of the catalogue's, or none."""
    manifest = yaml.safe_load(LUMEN) | {"version": "3"}
    manifest["permissions"] = [manifest["permissions"][0] | {"endpoint": endpoint}]

    try:
        parsed = parse(json.dumps(manifest), "vendor.json")
    except ManifestError:
        assert endpoint not in {*KNOWN, "none"}
    else:
        assert parsed.permissions[0].endpoint in {*KNOWN, None}


def test_an_endpoint_that_is_almost_right_gets_a_hint() -> None:
    """For a typo the message has the endpoint that was meant, for a forbidden request the reason."""
    with pytest.raises(ManifestError, match=re.escape("(did you mean 'GET /v1/scorecards'?)")):
        parse(LUMEN.replace("GET /v1/scorecards", "GET /v1/scorecard"), "vendor.yaml")
    with pytest.raises(ManifestError, match="on the list of requests that are never sent"):
        parse(LUMEN.replace("GET /v1/scorecards", "DELETE /v1/candidates/{id}"), "vendor.yaml")


def changed(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (changed("version: 3\n", "version: 3\nowner: me\n"), "4: owner: is no field that belongs here"),
        (changed("    mapping: likely", "    maping: likely"), "49: permissions[6].maping: is no field that belongs"),
        (changed("mapping: likely", "mapping: certain"), "49: permissions[6].mapping: must be 'exact' or 'likely'"),
        (changed("name: lumen", "name: Lumen"), "2: name: must be 1 to 40 lower-case letters"),
        (changed("title: Lumen Scheduling\n", ""), "2: title: is missing; add it"),
        (changed("title: Lumen Scheduling", "title:"), "4: title: is empty, and must be a text"),
        (changed("title: Lumen Scheduling", "title: [a]"), "4: title: must be a text"),
        (changed("title: Lumen Scheduling", 'title: "a\\nBcc: x"'), "4: title: holds a line break"),
        (changed("title: Lumen Scheduling", 'title: "a\\u202Eb"'), "4: title: holds a line break, an invisible"),
        (changed("v3_source: published", "v3_source: guessed"), "6: v3_source: must be 'published' or 'derived'"),
        (changed("v3_source: published", "v3_source:"), "6: v3_source: is missing, yet there are scopes"),
        (changed("v3_source: published\n", ""), "2: v3_source: is missing, yet there are scopes"),
        (changed("  rooms: The", "  Rooms: The"), "9: features.Rooms: must be 1 to 40 lower-case letters"),
        (changed("rooms: The customer books", "rooms: {a: b}\n  x: The"), "9: features.rooms: must be a text"),
        (changed("Users, Offices]", "Users, Users, Offices]"), "11: groups[5]: is already on line 11"),
        (changed("[Candidates, Jobs,", "[[], Candidates, Jobs,"), "11: groups[0]: must be a text"),
        (
            changed("group: Offices", "group: Ofices"),
            "57: permissions[8].group: 'Ofices' is not declared under `groups`",
        ),
        (changed("feature: rooms", "feature: room"), "60: permissions[8].feature: 'room' is not declared under `feat"),
        (changed("feature: rooms", "feature:"), "60: permissions[8].feature: is empty, and must be a text"),
        (changed("id: candidates.merge", "id: merge"), "25: permissions[2].id: must be words of lower-case letters"),
        (
            changed("id: candidates.merge", "id: candidates.add_note"),
            "25: permissions[2].id: is already on line 19",
        ),
        (changed("PUT: Merge two candidates", "POST: Add Note"), "27: permissions[2].label: is already on line 21"),
        (
            changed("endpoint: PUT /v1/candidates/merge", "endpoint: GET /v1/candidates"),
            "28: permissions[2].endpoint: is already on line 17",
        ),
        (changed("[harvest:offices:list]", "[offices:list]"), "61: permissions[8].scopes[0]: must be a scope such as"),
        (changed("[harvest:offices:list]", "[harvest:offices]"), "61: permissions[8].scopes[0]: must be a scope such"),
        (changed("[harvest:offices:list]", "[HARVEST:a:b]"), "61: permissions[8].scopes[0]: must be a scope such as"),
        (changed("[harvest:offices:list]", "harvest:offices:list"), "61: permissions[8].scopes: must be a list"),
        (
            changed("[harvest:offices:list]", "[harvest:offices:list, harvest:offices:list]"),
            "61: permissions[8].scopes: names the same scope twice",
        ),
        (changed("impact: Candidates do", "impact: [Candidates] #"), "24: permissions[1].impact: must be a text"),
        (changed("endpoint: none", "endpoint:"), "43: permissions[5].endpoint: is empty, and must be a text"),
        (changed("    endpoint: none", "    #"), "40: permissions[5].endpoint: is missing; add it"),
        (changed("    feature: rooms", "    id: again"), "60: permissions[8].id: occurs twice in the same mapping"),
        (changed("permissions:\n", "permissions: []\nx:\n"), "13: permissions: must hold 1 or more"),
        (changed("permissions:\n", "permissions: {}\nx:\n"), "13: permissions: must be a list"),
        (changed("permissions:\n", "permissions:\n  - just a text\n"), "14: permissions[0]: must be a mapping"),
    ],
)
def test_a_mistake_is_reported_by_line_and_field(change: Callable[[str], str], problem: str) -> None:
    """Each kind of mistake in a manifest is refused with the file, the line, the field, and what to do."""
    with pytest.raises(ManifestError) as caught:
        parse(change(LUMEN), "lumen.yaml")

    assert any(found.startswith(f"lumen.yaml:{problem}") for found in caught.value.problems), str(caught.value)
    assert all("; " in found for found in caught.value.problems)


def test_a_label_may_occur_in_two_groups() -> None:
    """Only group and label together are unique; the error for an ambiguous label lists the ids."""
    manifest = parse(LUMEN.replace("GET: List Users", "GET: List offices"), "lumen.yaml")

    with pytest.raises(ManifestError, match=r"name one by id: users.list_users, offices.list_offices"):
        manifest.permission("GET: List offices")


def test_all_mistakes_are_reported_at_once() -> None:
    """Wrong types, unknown names, duplicates and endpoints outside the catalogue are in one message, by line."""
    text = LUMEN.replace("name: lumen", "name: Lumen").replace("id: candidates.merge", "id: candidates.add_note")
    text = text.replace("mapping: likely", "mapping: certain").replace("group: Offices", "group: Ofices")
    text = text.replace("GET /v1/users", "DELETE /v1/candidates/{id}").replace("feature: rooms", "feature: room")

    with pytest.raises(ManifestError) as caught:
        parse(text, "lumen.yaml")

    fields = [re.findall(r"^lumen\.yaml:(\d+): ([a-z0-9\[\]._]+): ", problem) for problem in caught.value.problems]
    assert fields == [
        [("2", "name")],
        [("25", "permissions[2].id")],
        [("49", "permissions[6].mapping")],
        [("54", "permissions[7].endpoint")],
        [("57", "permissions[8].group")],
        [("60", "permissions[8].feature")],
    ]
    assert str(caught.value).splitlines() == list(caught.value.problems)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "name: lumen", "\ud800"])
def test_any_other_text_is_a_manifest_error(text: str) -> None:
    """For any text the error is a ManifestError and names its source."""
    with pytest.raises(ManifestError, match=r"^x\.yaml:\d: "):
        parse(text, "x.yaml")


def test_load_knows_names_and_paths(tmp_path: Path) -> None:
    """A name means a built-in manifest, a path a file; for anything else the error lists the names."""
    path = tmp_path / "own.yaml"
    path.write_text(LUMEN, encoding="utf-8")

    assert built_in() == ("gem",)
    assert load(str(path)).digest == parse(LUMEN, "x").digest
    with pytest.raises(ManifestError, match=r"'gme': it is no file, and none of the built-in ones \(gem\)"):
        load("gme")
    with pytest.raises(ManifestError, match="cannot be read"):
        load(str(tmp_path))
    path.write_bytes(b"name: \xff")
    with pytest.raises(ManifestError, match=r"own\.yaml:1: is not UTF-8"):
        load(str(path))


def test_a_file_named_like_a_built_in_does_not_hide_it(tmp_path: Path) -> None:
    """`gem` means Gem's manifest, whatever is in the current directory."""
    (tmp_path / "gem").write_text(LUMEN, encoding="utf-8")
    script = "from checks.manifest import load; print(load('gem').name)"
    root = str(ROOT)

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); {script}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "gem\n"


def test_a_manifest_error_is_a_document_error_with_its_problems() -> None:
    """Callers get the sentences one by one, even if there is only one."""
    error = ManifestError("there is no such manifest")

    assert isinstance(error, DocumentError)
    assert error.problems == ("there is no such manifest",)


def test_a_permission_is_found_by_id_or_label() -> None:
    """Both find the same line; for a typo the error has what was meant."""
    assert GEM.permission("candidates.merge_two_candidates") is GEM.permission("PUT: Merge two candidates")
    with pytest.raises(ManifestError, match=r"manifest gem has no permission .* \(did you mean 'POST : Reject"):
        GEM.permission("POST: Reject Application")


SAME_MEANING = [
    pytest.param(changed("# Lumen", "# Changed: Lumen"), id="comment"),
    pytest.param(changed("  # one of the catalogue's controls", ""), id="comment behind a value"),
    pytest.param(changed("version: 3", 'version: "2027-01-01"'), id="version"),
    pytest.param(changed("name: lumen", "name: other"), id="name"),
    pytest.param(changed("title: Lumen", "title: New"), id="title"),
    pytest.param(changed("source: Lumen's", "source: Our"), id="source"),
    pytest.param(changed("[Candidates, Jobs,", "[Jobs, Candidates,"), id="order of groups"),
    pytest.param(changed("endpoint: none  #", "endpoint: 'none'  #"), id="quotes"),
    pytest.param(changed('label: "GET: List Users"', "mapping: exact\n    label: 'GET: List Users'"), id="default"),
    pytest.param(lambda text: json.dumps(yaml.safe_load(text) | {"version": "3"}), id="layout"),
]


@pytest.mark.parametrize("change", SAME_MEANING)
def test_a_digest_changes_only_with_the_meaning(change: Callable[[str], str]) -> None:
    """Comments, layout, order and the manifest's name do not change the digest."""
    digest = parse(LUMEN, "x").digest

    assert re.fullmatch(r"[0-9a-f]{12}", digest)
    assert parse(change(LUMEN), "x").digest == digest


def test_a_digest_is_the_same_in_every_release() -> None:
    """Digests are stored: if their computation changed, every tenant's manifest would seem new."""
    assert parse(LUMEN, "x").digest == "60ab5d281917"


def test_a_digest_does_not_depend_on_the_order_of_lines() -> None:
    """The same permissions and scopes in another order are the same requirement."""
    lumen = parse(LUMEN, "x")
    reversed_lines = [replace(line, scopes=line.scopes[::-1]) for line in lumen.permissions[::-1]]

    assert replace(lumen, permissions=tuple(reversed_lines)).digest == lumen.digest


OTHER_VALUES: dict[str, Any] = {
    "id": "users.list_everybody",
    "group": "Jobs",
    "label": "GET: List Everybody",
    "endpoint": "GET /v1/jobs",
    "mapping": "likely",
    "feature": "rooms",
    "scopes": ("harvest:users:list", "harvest:user_emails:list"),
    "impact": "Nobody can be found.",
    "effect": "find anybody",
}
WORDS_ONLY = {"effect"}


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_a_digest_changes_with_every_field_of_a_permission(field: str) -> None:
    """A change in any field but other words for the label changes the digest, and the difference names that field."""
    lumen = parse(LUMEN, "x")
    line = lumen.permission("users.list_users")
    other = replace(line, **{field: OTHER_VALUES[field]})
    new = replace(lumen, permissions=tuple(other if old is line else old for old in lumen.permissions))

    assert (new.digest == lumen.digest) is (field in WORDS_ONLY)
    diff = compare(lumen, new)
    if field == "id":
        assert (diff.added, diff.removed, diff.changed) == ((other,), (line,), ())
        return
    (change,) = diff.changed
    assert [(found.field, found.old, found.new) for found in change.fields] == [
        (field, getattr(line, field), OTHER_VALUES[field])
    ]


def test_every_field_of_a_permission_is_compared() -> None:
    """The table above has a row for each field, so the digest and the comparison cannot forget a new one."""
    assert list(OTHER_VALUES) == list(asdict(GEM.permissions[0]))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"features": {"rooms": "Another meaning"}}, "features.rooms"),
        ({"features": {"rooms": "The customer books interview rooms with Lumen", "new": "x"}}, "features.new"),
        ({"v3_source": "derived"}, "v3_source"),
    ],
)
def test_a_digest_changes_with_the_fields_of_the_manifest(changes: dict[str, Any], field: str) -> None:
    """Features and the source of the scopes are part of the meaning."""
    lumen = parse(LUMEN, "x")
    new = replace(lumen, **changes)

    assert new.digest != lumen.digest
    assert [change.field for change in compare(lumen, new).manifest] == ["digest", field]


def test_a_difference_is_readable() -> None:
    """What was added, removed and changed, line by line, by group and label, each field with old and new."""
    text = LUMEN.replace("version: 3", "version: 4").replace("feature: rooms", "mapping: likely")
    text = re.sub(r"  - id: users.list_users(\n    .*)+\n", "", text)
    old, new = parse(LUMEN, "x"), parse(text, "x")
    added = replace(new.permissions[0], id="new.one", label="GET: New", scopes=())

    diff = compare(old, replace(new, permissions=(*new.permissions, added)))

    assert diff.lines()[0] == "version: 3 -> 4"
    assert diff.lines()[1].startswith(f"digest: {old.digest} -> ")
    assert diff.lines()[2:] == [
        "+ Candidates / GET: New (new.one)",
        "- Users / GET: List Users (users.list_users)",
        "~ Offices / GET: List offices (offices.list_offices)",
        "    mapping: exact -> likely",
        "    feature: rooms -> none",
    ]


def test_a_difference_can_be_json() -> None:
    """As JSON the difference has every field, and whole permissions."""
    found = json.loads(json.dumps(asdict(compare(GEM, parse(LUMEN, "x")))))

    assert set(found) == {"manifest", "added", "removed", "changed"}
    assert found["manifest"][0] == {"field": "name", "old": "gem", "new": "lumen"}
    assert found["added"][0]["id"] == "candidates.merge"
    kept = {permission.id for permission in GEM.permissions} & {one.id for one in parse(LUMEN, "x").permissions}
    assert len(found["removed"]) == 65 - len(kept)
    assert [field["field"] for field in found["changed"][1]["fields"]] == ["impact", "effect"]


def test_equal_manifests_have_no_difference() -> None:
    """A manifest compared with itself: the difference has no lines and is false."""
    diff = compare(GEM, load("gem"))

    assert not diff
    assert diff.lines() == []


def test_the_page_describes_every_field() -> None:
    """docs/manifests.md has a row for each field that a manifest and a permission can have, and no other."""
    described = re.findall(r"^\| `(\w+)` \| (required|optional|with scopes) \|", DOCS, re.MULTILINE)
    expected = {"name", "version", "title", "source", "v3_source", "features", "groups", "permissions"}

    assert {name for name, _ in described} == expected | set(OTHER_VALUES)
    required = {name for name, word in described if word == "required"}
    for name in required - {"id", "group", "label", "endpoint"}:
        with pytest.raises(ManifestError, match=rf"{name}: is missing; add it"):
            parse("v3_source: derived\n", "x")
    with pytest.raises(ManifestError) as caught:
        parse("permissions: [{}]\n", "x")
    missing = {problem.split(": ")[1].rpartition(".")[2] for problem in caught.value.problems}
    assert missing == required - {"permissions"}


def test_the_page_is_correct() -> None:
    """The example in docs/manifests.md is a manifest, and its two mistakes give the errors that the page quotes."""
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert parse(example, "lumen.yaml").version == "2026-11-23"
    assert parse(example.replace("2026-11-23", "1.10"), "lumen.yaml").version == "1.10"

    wrong = example.replace("GET /v1/scheduled_interviews", "DELETE /v1/candidates/{id}")
    with pytest.raises(ManifestError) as caught:
        parse(wrong.replace("group: Offices", "group: Ofices"), "lumen.yaml")
    assert [line.strip() for line in DOCS.splitlines() if line.startswith("    lumen.yaml:")] == list(
        caught.value.problems
    )
