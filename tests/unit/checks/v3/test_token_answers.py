"""Answers of the auth server, read tolerantly: each fact is found in any of its places, and none is invented."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.answer import AnswerKind
from checks.credential import Token
from checks.v3.token_answers import CLAIMS, AuthKind, Introspection, expiry_of, introspected, minted

EXP = 1_790_000_000
HEADERS = {"content-type": "application/json"}
# A refusal, recorded on 2026-08-11 or quoted by an integration in use, and what it means.
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


def introspection(**document: object) -> Introspection | None:
    return introspected(200, HEADERS, json.dumps({"active": True, **document}).encode()).introspection


@pytest.mark.parametrize("read", [introspected, minted])
@pytest.mark.parametrize(("status", "document", "kind"), REFUSALS)
def test_a_refusal_is_recognized_by_status_and_words(read, status, document, kind) -> None:  # type: ignore[no-untyped-def]
    """Nothing of the body is kept, as it may echo the client id."""
    answer = read(status, HEADERS, json.dumps(document).encode())
    assert answer.kind is kind
    assert "x@y" not in repr(answer)
    assert (answer.introspection, answer.token) == (None, None)


@pytest.mark.parametrize(
    ("body", "complete"),
    [(b"<html>Sign in</html>", True), (b"", True), (b"[1]", True), (b"\xff\xfe", True), (b'{"active": true}', False)],
)
def test_anything_but_a_complete_json_object_is_unusable(body: bytes, complete: bool) -> None:
    """Such as a page, a list, or a body that is too long."""
    assert introspected(200, HEADERS, body, complete=complete).kind is AuthKind.UNUSABLE


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("harvest:jobs:list harvest:users:list", {"harvest:jobs:list", "harvest:users:list"}),
        (["harvest:jobs:list", 7, None, "harvest:users:list"], {"harvest:jobs:list", "harvest:users:list"}),
        ("  harvest:jobs:list \n\t harvest:jobs:list ", {"harvest:jobs:list"}),
        ("harvest:jobs:list new:thing:fly", {"harvest:jobs:list", "new:thing:fly"}),
        (["a b", "ü", "x" * 200, "harvest:jobs:list"], {"harvest:jobs:list"}),
        ("", None),
        ([], None),
        (None, None),
        (17, None),
    ],
)
def test_scopes_are_a_text_or_a_list_and_an_empty_one_says_nothing(scope: object, scopes: set[str] | None) -> None:
    """What cannot be a scope's name is left out; an answer without any scope names none."""
    found = introspection(scope=scope)
    assert found is not None
    assert (found.scopes, found.names_none) == (scopes, scope in ("", []))


@pytest.mark.parametrize(
    "document",
    [
        {CLAIMS: {"organization": {"id": 4242, "name": "Acme"}, "user_role": "Job Admin"}},
        {"organization": {"id": "4242"}, "user_role": "Job Admin"},
        {"organization_id": 4242, "user_role": "Job Admin"},
        {CLAIMS: "odd", "organization": 4242, "user_role": "Job Admin"},
    ],
)
def test_organization_and_role_are_found_nested_or_flat(document: dict[str, object]) -> None:
    """As number or text, in the claim or outside it."""
    found = introspection(**document)
    assert found is not None
    assert (found.organization, found.role, found.role_stated) == ("4242", "Job Admin", True)


@pytest.mark.parametrize("odd", [{"name": "Basic"}, ["basic"], "", False])
def test_an_unreadable_role_is_an_unknown_role(odd: object) -> None:
    """Only null means that the token acts for no user."""
    found = introspection(**{CLAIMS: {"user_role": odd}})
    assert found is not None
    assert (found.role, found.role_stated) == ("?", True)


def test_what_is_not_stated_is_none() -> None:
    """A token without claims is not the same as one that acts for no user."""
    assert introspection() == Introspection(active=True)
    assert introspection(**{CLAIMS: {"user_role": None}}) == Introspection(active=True, role_stated=True)


@pytest.mark.parametrize("document", [{"exp": EXP}, {"exp": float(EXP)}, {"expires_at": "2026-09-21T14:13:20Z"}])
def test_both_fields_of_expiry_are_read(document: dict[str, object]) -> None:
    """Seconds since 1970 or ISO 8601."""
    found = introspection(**document)
    assert found is not None
    assert found.expires_at == datetime.fromtimestamp(EXP, UTC)


@pytest.mark.parametrize("odd", [True, "soon", -1, 1e300, [1], float("inf")])
def test_an_impossible_expiry_is_left_out(odd: object) -> None:
    found = introspection(exp=odd)
    assert found is not None
    assert found.expires_at is None


@pytest.mark.parametrize("active", [None, "perhaps", 1, []])
def test_an_answer_that_does_not_say_whether_a_token_is_active_is_unusable(active: object) -> None:
    """A 200 from something else, such as the JSON of a sign-in page, is no introspection."""
    assert introspected(200, HEADERS, json.dumps({"active": active}).encode()).kind is AuthKind.UNUSABLE


def test_a_new_token_is_used_whatever_its_expiry_is_called() -> None:
    """Its expiry is not needed: the token is introspected next."""
    for more in ({}, {"expires_in": 3600}, {"expires_at": "2026-11-24T00:00:00Z"}):
        answer = minted(200, HEADERS, json.dumps({"token_type": "Bearer", "access_token": "abc.def", **more}).encode())
        assert answer.token is not None
        assert answer.token.reveal() == "abc.def"
        assert "abc.def" not in repr(answer)


@pytest.mark.parametrize("token", [None, "", "two words", "schlüssel", "x" * 9000, 7.5j])
def test_a_token_that_cannot_be_sent_is_unusable(token: object) -> None:
    answer = minted(200, HEADERS, json.dumps({"access_token": token}, default=lambda _: None).encode())
    assert answer.kind is AuthKind.UNUSABLE


FIELDS = st.sampled_from(["active", "scope", "exp", CLAIMS, "error", "message", "organization", "id", "access_token"])
PLAIN = st.none() | st.text() | st.floats() | st.integers() | st.booleans()
DOCUMENTS = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner), max_leaves=12)
BODIES = st.binary(max_size=400) | DOCUMENTS.map(lambda value: json.dumps(value).encode())


@given(BODIES, st.sampled_from([200, 400, 401, 500]))
def test_no_answer_breaks_the_reader(body: bytes, status: int) -> None:
    """Any answer is one of the kinds, and only one kind has an introspection or a token."""
    for read in (introspected, minted):
        answer = read(status, {}, body)
        assert (answer.introspection is not None or answer.token is not None) == (answer.kind is AuthKind.JSON)
        assert answer.as_answer().kind in AnswerKind


def jwt(claims: object) -> Token:
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, claims))
    return Token(".".join([*parts, "signature"]))


def test_a_jwt_says_when_it_expires() -> None:
    """Its signature is not verified: the auth server decides whether the token is good."""
    assert expiry_of(jwt({"exp": EXP})) == datetime.fromtimestamp(EXP, UTC)
    for odd in (Token("opaque"), Token("a.b.c"), jwt([1]), jwt({}), jwt({"exp": "x"})):
        assert expiry_of(odd) is None
