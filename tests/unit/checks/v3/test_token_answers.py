"""Answers of the auth server, read tolerantly: each fact is taken where it stands, and nothing is made up."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.answer import AnswerKind
from checks.credential import Token
from checks.v3.token_answers import CLAIMS, AuthKind, Introspection, expiry_of, folded, introspected, minted

EXP = 1_790_000_000
HEADERS = {"content-type": "application/json"}
# A refusal as it was recorded on 2026-08-11, or quoted by an integration in use, and what it means.
REFUSALS = [
    (401, {"error": "invalid_client"}, AuthKind.INVALID_CLIENT),
    (400, {"message": "client_id=x@y does not contain a valid client ID suffix"}, AuthKind.MALFORMED_CLIENT),
    (400, {"message": "Client application is not requesting any scopes"}, AuthKind.NO_SCOPES),
    (400, {"error": "unauthorized_client"}, AuthKind.GRANT_REFUSED),
    (400, {"error": "invalid_grant"}, AuthKind.GRANT_REFUSED),
    (401, {"message": "Unauthorized", "errorId": "err-1"}, AuthKind.BLOCKED),
    (403, {}, AuthKind.BLOCKED),
    (429, {"message": "Rate limit exceeded"}, AuthKind.RATE_LIMITED),
    (500, {"message": "x"}, AuthKind.SERVER_ERROR),
    (503, {}, AuthKind.SERVER_ERROR),
    (404, {"message": "Resource not found"}, AuthKind.UNUSABLE),
    (200, {}, AuthKind.UNUSABLE),
]


def told(**document: object) -> Introspection | None:
    return introspected(200, HEADERS, json.dumps({"active": True, **document}).encode()).introspection


@pytest.mark.parametrize("read", [introspected, minted])
@pytest.mark.parametrize(("status", "document", "kind"), REFUSALS)
def test_a_refusal_is_known_by_status_and_words(read, status, document, kind) -> None:  # type: ignore[no-untyped-def]
    """Nothing of the body is kept, which may echo the client id."""
    answer = read(status, HEADERS, json.dumps(document).encode())
    assert answer.kind is kind
    assert "x@y" not in repr(answer)
    assert (answer.introspection, answer.token) == (None, None)


@pytest.mark.parametrize(
    ("body", "complete"),
    [(b"<html>Sign in</html>", True), (b"", True), (b"[1]", True), (b"\xff\xfe", True), (b'{"active": true}', False)],
)
def test_what_is_no_json_object_or_was_cut_is_unusable(body: bytes, complete: bool) -> None:
    """A page, a list, or more than is read."""
    assert introspected(200, HEADERS, body, complete=complete).kind is AuthKind.UNUSABLE


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("harvest:jobs:list harvest:users:list", {"harvest:jobs:list", "harvest:users:list"}),
        (["harvest:jobs:list", "harvest:users:list"], {"harvest:jobs:list", "harvest:users:list"}),
        ("harvest:jobs:list auditlog:events:list", {"harvest:jobs:list", "auditlog:events:list"}),
        ("harvest:jobs:list harvest:things:fly", {"harvest:jobs:list", "harvest:things:fly"}),
        ("", None),
        ([], None),
        (None, None),
    ],
)
def test_scopes_are_a_text_or_a_list_and_none_are_as_good_as_not_told(scope: object, scopes: set[str] | None) -> None:
    """A name that this release does not know is one all the same."""
    found = told(scope=scope)
    assert found is not None
    assert (found.scopes, found.names_none, found.scopes_unreadable) == (scopes, scope in ("", []), False)


@pytest.mark.parametrize(
    "document",
    [
        {CLAIMS: {"organization": {"id": 4242, "name": "Acme"}, "user_role": "Job Admin"}},
        {"organization": {"id": "4242"}, "user_role": "Job Admin"},
        {"organization_id": 4242, "user_role": "Job Admin"},
        {CLAIMS: "odd", "organization": 4242, "user_role": "Job Admin"},
        {"organization": "Acme Corp", "organization_id": 4242, "user_role": "Job Admin"},
        {CLAIMS: {"organization": {"name": "Acme"}, "organization_id": "4242", "user_role": "Job Admin"}},
        {CLAIMS: {"organization": {"id": 4242}, "user_role": "job_admin"}, "user_role": "Job Admin"},
    ],
)
def test_organization_and_role_are_found_nested_or_flat(document: dict[str, object]) -> None:
    """As number or text, in the claim or beside it; a customer's name beside its number is no other customer."""
    found = told(**document)
    assert found is not None
    assert (found.organization, folded(found.role or ""), found.role_stated) == ("4242", "jobadmin", True)
    assert not found.contradicted


@pytest.mark.parametrize("odd", [{"name": "Basic"}, ["basic"], "", False])
def test_a_role_that_cannot_be_read_is_none_that_is_known(odd: object) -> None:
    """Only null says that the token acts for nobody."""
    found = told(**{CLAIMS: {"user_role": odd}})
    assert found is not None
    assert (found.role, found.role_stated) == ("?", True)


def test_what_is_not_told_is_none() -> None:
    """A token without claims, and one that acts for nobody, are told apart."""
    assert told() == Introspection(active=True)
    assert told(**{CLAIMS: {"user_role": None}}) == Introspection(active=True, role_stated=True)


@pytest.mark.parametrize(
    "document",
    [
        {"exp": EXP},
        {"exp": float(EXP)},
        {"exp": str(EXP)},
        {"exp": EXP * 1000},
        {"exp": str(EXP * 1000)},
        {"expires_at": "2026-09-21T14:13:20Z"},
        {"exp": EXP, "expires_at": "2026-09-21T14:13:20Z"},
    ],
)
def test_both_fields_of_expiry_are_read(document: dict[str, object]) -> None:
    """Seconds since 1970 or ISO 8601; also as text, and in milliseconds."""
    found = told(**document)
    assert found is not None
    assert found.expires_at == datetime.fromtimestamp(EXP, UTC)


@pytest.mark.parametrize("odd", [True, "soon", -1, 1e300, [1], float("inf"), 10**400, "1" * 40])
def test_an_expiry_that_is_none_is_left_out(odd: object) -> None:
    found = told(exp=odd)
    assert found is not None
    assert found.expires_at is None


CONTRADICTIONS = [
    {"user_role": "Basic", CLAIMS: {"user_role": "Site Admin"}},
    {"user_role": None, CLAIMS: {"user_role": "Job Admin"}},
    {"organization_id": 7, CLAIMS: {"organization": {"id": 4242}}},
    {"organization": {"id": 7}, "organization_id": 4242},
    {"exp": EXP, "expires_at": "2026-09-21T16:13:20Z"},
]


@pytest.mark.parametrize("document", CONTRADICTIONS)
def test_two_parts_of_an_answer_that_disagree_are_a_contradiction(document: dict[str, object]) -> None:
    """A role, a customer or an end stated twice, with different values."""
    found = told(**document)
    assert found is not None
    assert found.contradicted


@pytest.mark.parametrize("key", ["user_role", "client_id", "exp", "iat"])
def test_a_key_given_twice_is_a_contradiction(key: str) -> None:
    """Readers of JSON differ in which one they take."""
    found = introspected(200, HEADERS, f'{{"active": true, "{key}": "a", "{key}": "b"}}'.encode()).introspection
    assert found is not None
    assert found.contradicted


def test_an_active_token_that_has_ended_is_a_contradiction() -> None:
    """By more than clocks differ. One that is not active may well have ended."""
    end = datetime.fromtimestamp(EXP, UTC)
    for active, late, contradicted in ((True, 301, True), (True, 299, False), (True, -60, False), (False, 301, False)):
        found = Introspection(active, expires_at=end)
        assert found.contradicts_itself(end + timedelta(seconds=late)) is contradicted


CHALLENGES = [
    ('Bearer realm="x", error="invalid_client"', AuthKind.INVALID_CLIENT),
    ('Basic error="invalid_client", error_description="no"', AuthKind.INVALID_CLIENT),
    ('Bearer error="invalid_token"', AuthKind.UNUSABLE),
    ('Bearer realm="error"', AuthKind.BLOCKED),
    ("", AuthKind.BLOCKED),
]


@pytest.mark.parametrize(("challenge", "kind"), CHALLENGES)
def test_a_refusal_may_give_its_reason_in_the_header_alone(challenge: str, kind: AuthKind) -> None:
    """RFC 6750 puts it there. A body that gives one comes first, and a page is a page."""
    headers = {"www-authenticate": challenge}
    assert introspected(401, headers, b"").kind is kind
    assert introspected(401, headers, b'{"error": "unauthorized_client"}').kind is AuthKind.GRANT_REFUSED
    assert introspected(401, headers, b"<html>").kind is AuthKind.BLOCKED


@pytest.mark.parametrize("active", [None, "perhaps", 1, []])
def test_without_a_word_on_whether_it_is_active_nothing_is_told(active: object) -> None:
    """A 200 of something else, such as a sign-in page's JSON, is no introspection."""
    assert introspected(200, HEADERS, json.dumps({"active": active}).encode()).kind is AuthKind.UNUSABLE


def test_a_new_token_is_taken_whatever_its_expiry_is_called() -> None:
    """Expiry is not relied on: the token is introspected next."""
    for more in ({}, {"expires_in": 3600}, {"expires_at": "2026-11-24T00:00:00Z"}):
        answer = minted(200, HEADERS, json.dumps({"token_type": "Bearer", "access_token": "abc.def", **more}).encode())
        assert answer.token is not None
        assert answer.token.reveal() == "abc.def"
        assert "abc.def" not in repr(answer)


@pytest.mark.parametrize("token", [None, "", "two words", "schlüssel", "x" * 9000, 7.5j])
def test_a_token_that_cannot_be_sent_is_none(token: object) -> None:
    answer = minted(200, HEADERS, json.dumps({"access_token": token}, default=lambda _: None).encode())
    assert answer.kind is AuthKind.UNUSABLE


FIELDS = st.sampled_from(["active", "scope", "exp", CLAIMS, "error", "message", "organization", "id", "access_token"])
PLAIN = st.none() | st.text() | st.floats() | st.integers() | st.booleans()
DOCUMENTS = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner), max_leaves=12)
BODIES = st.binary(max_size=400) | DOCUMENTS.map(lambda value: json.dumps(value).encode())


@given(BODIES, st.sampled_from([200, 400, 401, 500]))
def test_no_answer_whatever_breaks_the_reading(body: bytes, status: int) -> None:
    """Anything may come; it is one of the kinds, and none of them is a grant by itself."""
    for read in (introspected, minted):
        answer = read(status, {}, body)
        assert (answer.introspection is not None or answer.token is not None) == (answer.kind is AuthKind.JSON)
        assert answer.as_answer().kind in AnswerKind


def jwt(claims: object) -> Token:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims))
    return Token(".".join([*parts, "signature"]))


def test_a_token_tells_when_it_expires_if_it_is_a_jwt() -> None:
    """Its signature is not looked at: the auth server is asked whether it is good."""
    assert expiry_of(jwt({"exp": EXP})) == datetime.fromtimestamp(EXP, UTC)
    for odd in (Token("opaque"), Token("a.b.c"), jwt([1]), jwt({}), jwt({"exp": "x"})):
        assert expiry_of(odd) is None
