"""The made-up records of the sandbox: lists, dates, ids, and a marker to search for."""

import pytest

from monitor.sandbox.greenhouse.endpoints import endpoints
from monitor.sandbox.sandbox import Sandbox
from tests.sandbox_session import content, sandbox_session


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("per_page=1", 1),
        ("per_page=3&page=2", 1),
        ("per_page=0", 4),  # no size: ignored
        ("per_page=x", 4),
        ("created_after=2100-01-01T00:00:00Z", 0),
        ("created_before=2100-01-01T00:00:00Z", 4),
        ("created_after=2024-03-03T00:00:00Z", 2),
        ("created_after=2024-03-03", 2),  # a date without a zone
        ("created_after=tomorrow", 4),  # no date: ignored
        ("updated_after=2100-01-01T00:00:00Z&per_page=1&skip_count=true", 0),
        ("submitted_after=2100-01-01T00:00:00Z", 4),  # not documented for candidates: ignored
    ],
)
def test_a_list_honours_what_its_documentation_names(query: str, count: int) -> None:
    """Page size and dates apply where they are documented; anything else is ignored."""
    assert len(content(sandbox_session().send(f"GET /v1/candidates?{query}"))) == count


@pytest.mark.parametrize("name", [name for name, each in endpoints().items() if "submitted_after" in each.query])
def test_eeoc_knows_the_date_of_submission(name: str) -> None:
    """A future submitted_after empties the list."""
    assert sandbox_session().send(f"{name}?submitted_after=2100-01-01T00:00:00Z").body == b"[]"


@pytest.mark.parametrize(
    "name",
    ["candidates", "applications", "users", "offers", "scorecards", "scheduled_interviews", "eeoc", "jobs"],
)
def test_the_marker_is_in_all_personal_data(name: str) -> None:
    """A marker set for the sandbox is in every answer with personal data; without one there is none."""
    assert b"canary-7f3a" in sandbox_session(marker="canary-7f3a").send(f"GET /v1/{name}").body
    assert b"canary" not in sandbox_session().send(f"GET /v1/{name}").body


def test_an_activity_feed_is_personal() -> None:
    """Notes and addresses of the activity feed have the marker, too."""
    session = sandbox_session(marker="canary-7f3a")
    candidate = session.account.records.ids("candidates")[0]
    feed = session.send(f"GET /v1/candidates/{candidate}/activity_feed")
    assert feed.body.count(b"canary-7f3a") >= 3


def test_ids_are_unique() -> None:
    """Within an account and between accounts."""
    sandbox = Sandbox()
    collections = {each.collection for each in endpoints().values() if not each.writes} - {
        "activity_feed",
        "hiring_team",
    }
    ids = [
        identity
        for name in ("a", "b", "c")
        for records in [sandbox.add_account(name).records]
        for collection in collections
        for identity in records.ids(collection)
    ]
    assert len(set(ids)) == len(ids) > 400
    assert min(ids) > 0
