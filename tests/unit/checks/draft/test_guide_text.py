"""What a vendor's text asks for: as vendors write their setup guides, with what copying from a page adds to it."""

from hypothesis import given
from hypothesis import strategies as st

from checks.draft.guide_text import Asked, Kind, as_label, read
from tests.cases import for_each
from tests.paths import FIXTURES

GUIDE = (FIXTURES / "manifests" / "gem-setup-guide.txt").read_text("utf-8")


@for_each(
    [
        ("- GET: List Users", Kind.LABEL, "GET: List Users"),
        ("  • Get: Retrieve User", Kind.LABEL, "Get: Retrieve User"),
        ("[x] POST : Add Note", Kind.LABEL, "POST : Add Note"),
        ("3. DELETE: Remove tag from candidate", Kind.LABEL, "DELETE: Remove tag from candidate"),
        ("\u200bGET:\xa0List Users\u200b", Kind.LABEL, "GET: List Users"),
        ("Harvest V1 → Candidates → Get: Retrieve Candidate", Kind.LABEL, "Get: Retrieve Candidate"),
        ("| GET: List jobs | to sync them |", Kind.LABEL, "GET: List jobs"),
        ("Retrieve Candidate", Kind.LABEL, "GET: Retrieve Candidate"),
        ("GET List sources", Kind.LABEL, "GET: List sources"),
        ("GET /v1/offers", Kind.LABEL, "GET: List offers"),
        (
            "GET https://harvest.greenhouse.io/v1/jobs/:job_id/stages?per_page=5",
            Kind.LABEL,
            "GET: List job stages for job",
        ),
        ("PATCH /v1/candidates/4711", Kind.LABEL, "PATCH: Edit Candidate"),
        ("POST /v3/notes", Kind.LABEL, "POST /v3/notes"),
        ("GET /v3/candidates?per_page=1", Kind.SCOPE, "harvest:candidates:list"),
        ("All Permissions for Job Stages", Kind.GROUP, "Job Stages"),
        ("`harvest:jobs:list` reads jobs", Kind.SCOPE, "harvest:jobs:list"),
        ("Applications > List applications", Kind.SCOPE, "harvest:applications:list"),
        ("Show rejection reasons", Kind.SCOPE, "harvest:rejection_reasons:show"),
    ],
    ids=lambda case: case[0],
)
def test_a_line_is_recognized(case: tuple[str, Kind, str]) -> None:
    """Whatever bullet, path, table or note a label, a scope or a group comes with."""
    line, kind, name = case
    assert [(one.kind, one.name) for one in read(line).asked] == [(kind, name)]


def test_a_saved_page_is_read_as_it_is_shown() -> None:
    """Its tags part what stands on one line, what is not shown is not read, and each line keeps its number."""
    page = """<html><style>GET: List users
    </style><h3>Offers</h3>
    <ul><li>GET: List <b>offers</b></li><li><code>GET:&nbsp;Retrieve offer</code></li></ul>
    <p
    class="x">harvest:jobs:list &amp; more</p></html>"""
    assert [(one.line, one.name) for one in read(page).asked] == [
        (3, "GET: List offers"),
        (3, "GET: Retrieve offer"),
        (5, "harvest:jobs:list"),
    ]


def test_a_line_may_name_several_scopes() -> None:
    """As an OAuth scope string does."""
    assert [one.name for one in read("harvest:jobs:list harvest:users:list").asked] == [
        "harvest:jobs:list",
        "harvest:users:list",
    ]


@for_each(
    [
        ("Tick `GET: List offers` and `GET: Retrieve offer`, please.", ["GET: List offers", "GET: Retrieve offer"]),
        ("Candidates: List candidates, Create candidates", ["harvest:candidates:list", "harvest:candidates:create"]),
        ("Offers: List offers, Sign offers", ["harvest:offers:list", "Sign offers"]),
        ("Offers: we read them, and nothing else", []),
    ],
    ids=lambda case: case[0],
)
def test_a_row_in_a_sentence_is_read(case: tuple[str, list[str]]) -> None:
    """What is known of it; and behind a heading the rest of the row as well, so that it is not lost."""
    line, names = case
    assert [one.name for one in read(line).asked] == names


def test_a_setup_guide_gives_its_labels_under_their_headings() -> None:
    """Sentences between heading and labels change nothing, and what is marked as optional is known to be."""
    asked = read(GUIDE).asked
    assert len(asked) == 65
    assert {one.heading for one in asked if one.optional} == {"EEOC"}
    assert [one.name for one in asked if one.optional] == [
        "GET: Retrieve EEOC Data for Application",
        "GET: List EEOC",
    ]


def test_prose_is_passed_over_and_told() -> None:
    """Nothing that may have been meant as a permission is dropped without a word; headings need none."""
    text = read("Tick these boxes.\nCustom Field Options\nGET: Custom Field Options\nthe widget box\n")
    assert [one.name for one in text.asked] == ["GET: Custom Field Options"]
    assert text.passed_over == ((1, "Tick these boxes."), (4, "the widget box"))


def test_what_somebody_names_is_a_label() -> None:
    """Even where no text would be taken for one."""
    assert as_label("the widget box") == Asked(Kind.LABEL, "the widget box", "the widget box")


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """And each of its lines that has something to see is asked for, a heading, or passed over."""
    found = read(text)
    lines = text.splitlines()
    assert all(1 <= one.line <= len(lines) for one in found.asked)
    assert {one.line for one in found.asked}.isdisjoint(line for line, _ in found.passed_over)
