"""A check of Harvest v3 and the one that confirms it: what introspection must have said, and how often."""

import json

import pytest

from checks.answer import Answer, AnswerKind
from checks.credential import CredentialState, OAuthClient
from checks.report import CheckReport, Verdict
from checks.v3.list_answers import reduce_listed
from checks.v3.token_answers import AuthAnswer, AuthKind, introspected
from tests.cases import for_each
from tests.confirming import confirmed
from tests.unit.checks.v3.test_check import (
    ANYBODYS,
    GEM_REQUEST,
    HELD,
    MINTING,
    READ_BEFORE,
    REQUIRED,
    World,
    check,
    scope,
    told,
)

NOTES, JOBS = "harvest:notes:create", "harvest:jobs:list"
UNREADABLE: dict[str, AuthAnswer] = {
    "in shapes that are not understood": introspected(
        200, {}, json.dumps({"active": True, "scope": ", ".join(sorted(REQUIRED - {NOTES}))}).encode()
    ),
    "not at all": told(AuthKind.SERVER_ERROR),
    "without scopes": told(AuthKind.JSON),
    "against itself": told(AuthKind.JSON, scopes=REQUIRED - {NOTES}, contradicted=True),
}
"""What introspection may say in one of two looks; none of it says that a scope is missing."""


def two_looks(first: World, second: World, client: OAuthClient = ANYBODYS) -> CheckReport:
    return confirmed(READ_BEFORE, lambda asked: check(first, client, asked), lambda asked: check(second, client, asked))


def missing_scopes(report: CheckReport) -> set[str]:
    return {name for finding in report.missing for name in finding.scopes}


@for_each(sorted(name for name in REQUIRED if scope(name).list is None))
def test_a_write_scope_is_missing_if_introspection_said_so_in_both_looks(lost: str) -> None:
    """Wholly understood, twice: nothing that changes nothing could be asked about a write."""
    report = two_looks(World(REQUIRED - {lost}), World(REQUIRED - {lost}))
    assert missing_scopes(report) == {lost}


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("otherwise", UNREADABLE)
def test_a_write_scope_that_only_one_look_called_missing_is_not_missing(otherwise: str, order: str) -> None:
    """The other look was not wholly understood."""
    looks = [World(REQUIRED - {NOTES}), World(REQUIRED - {NOTES}, told=UNREADABLE[otherwise])]
    report = two_looks(*(looks if order == "first" else reversed(looks)))
    assert missing_scopes(report) == set()


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_scope_that_the_other_look_names_is_not_missing(order: str) -> None:
    """Once missing and once there, whichever came first."""
    looks = [World(REQUIRED - {NOTES, JOBS}), World(REQUIRED)]
    assert two_looks(*(looks if order == "first" else reversed(looks))).missing == ()


def test_a_list_that_is_said_to_be_missing_is_asked_for_once_in_each_look() -> None:
    """One request that may be refused for each such scope, and none for the others or for writes."""
    lost = {JOBS, "harvest:users:list", NOTES}
    worlds = World(REQUIRED - lost), World(REQUIRED - lost)
    assert missing_scopes(two_looks(*worlds)) == lost
    for world in worlds:
        assert {path: world.asked.count(path) for path in ("GET /v3/jobs", "GET /v3/users")} == {
            "GET /v3/jobs": 1,
            "GET /v3/users": 1,
        }
        assert "GET /v3/notes" not in world.asked


CHALLENGE = 'error="invalid_client", error_description="no such client"'


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("client", [HELD, MINTING], ids=["held", "minted"])
def test_a_client_refused_in_a_header_alone_is_not_blocked(client: OAuthClient, scheme: str) -> None:
    """The body is empty: it is the client that is unknown, and no address that has to be listed."""
    refused = introspected(401, {"www-authenticate": f"{scheme} {CHALLENGE}"}, b"")
    world = World(told=refused, minted=refused if client is MINTING else None)
    report = confirmed(
        GEM_REQUEST, lambda asked: check(world, client, asked), lambda asked: check(world, client, asked)
    )
    assert (report.state, report.detail) == (CredentialState.INVALID, "invalid_client")


def test_lists_refused_in_a_header_alone_confirm_a_missing_scope() -> None:
    """`insufficient_scope` with an empty body is the API's own refusal, and not a block of our address."""
    header = {"www-authenticate": 'Bearer error="insufficient_scope", scope="harvest:jobs:list"'}
    listed = reduce_listed(403, header, b"")

    class Refusing(World):
        async def list(self, entry, token, may_send):  # type: ignore[no-untyped-def]
            found = await super().list(entry, token, may_send)
            return found if found.kind is AnswerKind.JSON else listed

    report = two_looks(Refusing(REQUIRED - {JOBS}), Refusing(REQUIRED - {JOBS}))
    assert (report.state, missing_scopes(report)) == (CredentialState.OK, {JOBS})


def test_a_token_refused_in_a_header_alone_is_not_blocked() -> None:
    """`invalid_token` with an empty body, from every list, where introspection says nothing."""
    listed = reduce_listed(401, {"www-authenticate": 'Bearer error="invalid_token"'}, b"")
    report = check(World(told=told(AuthKind.SERVER_ERROR), listed=listed), ANYBODYS)
    assert (report.state, report.detail) == (CredentialState.UNREACHABLE, "token_refused")
    page = check(World(told=told(AuthKind.SERVER_ERROR), listed=Answer(AnswerKind.UNKNOWN_REFUSAL, 401)), ANYBODYS)
    assert page.state is CredentialState.BLOCKED


def test_one_false_invalid_client_in_either_look_takes_nothing_away() -> None:
    """Right after a token was issued, once in each look: the next answer decides, and nothing is left open."""

    class Once(World):
        async def introspect(self, token, may_send):  # type: ignore[no-untyped-def]
            answer = await super().introspect(token, may_send)
            return told(AuthKind.INVALID_CLIENT) if self.asked.count("introspect") == 1 else answer

    report = two_looks(Once(REQUIRED - {NOTES}), Once(REQUIRED - {NOTES}), MINTING)
    assert (report.state, missing_scopes(report)) == (CredentialState.OK, {NOTES})
    assert {finding.verdict for finding in report.findings} <= {Verdict.GRANTED, Verdict.MISSING, Verdict.NOT_CHECKABLE}
