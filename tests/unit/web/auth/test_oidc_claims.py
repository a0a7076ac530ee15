"""What is believed of what a provider says of a person."""

from typing import Any

from monitor.web.auth.oidc_claims import Attempt, completed_claims, person_of
from monitor.web.auth.role import RolePolicy
from tests.cases import for_each

CASES: list[tuple[dict[str, Any], str | None, str]] = [
    ({}, None, "dana@vendor.example viewer"),
    ({}, "STAFF", "dana@vendor.example operator"),
    ({}, "u-1", "dana@vendor.example operator"),
    ({}, "Dana@vendor.example", "dana@vendor.example operator"),
    ({"groups": "on-call"}, "on-call", "dana@vendor.example operator"),
    ({"roles": ["on-call"]}, "on-call", "dana@vendor.example viewer"),
    ({"email_verified": "true"}, "dana@vendor.example", "dana@vendor.example operator"),
    ({"email_verified": False}, "dana@vendor.example", "u-1 viewer"),
    ({"email_verified": None}, "dana@vendor.example", "u-1 viewer"),
    ({"email_verified": None, "preferred_username": "olga"}, "olga", "olga (u-1) viewer"),
    ({"name": "olga", "nickname": "olga"}, "olga", "dana@vendor.example viewer"),
    ({"groups": {"on-call": 1}}, "on-call", "dana@vendor.example viewer"),
    ({"groups": None}, "staff", "dana@vendor.example viewer"),
    ({"groups": [1, ["staff"]]}, "staff", "dana@vendor.example viewer"),
    ({"email": "a\nb@x.example"}, None, "ab@x.example viewer"),
]


@for_each(CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_what_people_may_write_themselves_makes_nobody_an_operator(
    case: tuple[dict[str, Any], str | None, str],
) -> None:
    """Roles go by subject, verified address and group; the name shown is the address, or ends with the subject."""
    claims, operator, expected = case
    known = {"sub": "u-1", "email": "dana@vendor.example", "email_verified": True, "groups": ["staff"]}
    person = person_of(known | claims, "groups")
    role = RolePolicy.of([operator] if operator else None, None).role_of(person.names)
    assert f"{person.name} {role}" == expected


def test_the_claim_with_the_groups_can_be_named() -> None:
    """Providers call it differently."""
    assert (
        "on-call" in person_of({"sub": "u-1", "https://x.example/roles": ["on-call"]}, "https://x.example/roles").names
    )


def test_an_address_comes_with_its_own_proof() -> None:
    """The ID token's word that an address is verified says nothing of the one that userinfo tells."""
    token, told = {"sub": "u-1", "email_verified": True}, {"sub": "u-1", "email": "olga@vendor.example"}
    assert person_of(completed_claims(token, told), "groups").name == "u-1"
    assert person_of(completed_claims(token, told | {"email_verified": True}), "groups").name == "olga@vendor.example"
    token |= {"email": "dana@vendor.example"}
    assert person_of(completed_claims(token, told), "groups").name == "dana@vendor.example"


def test_an_attempt_survives_its_cookie() -> None:
    """What was written is read; anything else is no attempt."""
    attempt = Attempt("state", "nonce", "verifier", "/a.b?c=d;e f")
    assert Attempt.read(attempt.written()) == attempt
    for cookie in ("", "a.b.c", "a.b..d", "...", "x"):
        assert Attempt.read(cookie) is None
    assert "verifier" not in repr(attempt)
