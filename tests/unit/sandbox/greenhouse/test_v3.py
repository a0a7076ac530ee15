"""The sandbox's lists and writes under `/v3`: permissions, limits, and what is logged."""

import json

import pytest

from checks.catalogue.scopes import Scope, known
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.scopes import scope_for
from tests.cases import for_each
from tests.sandbox_session import Clock, content, header
from tests.sandbox_v3_session import sandbox_v3_session

LISTS = [each for each in known().values() if each.list is not None]
WRITES = [name for name, each in known().items() if not each.is_read]


@for_each(LISTS, ids=lambda scope: scope.name)
def test_each_list_is_served_with_its_scope_and_refused_without(scope: Scope) -> None:
    """With only this scope the list has a record; with all others it is forbidden."""
    grant = "partner" if scope.resource == "webhooks" else "custom"
    session = sandbox_v3_session([scope.name], grant=grant, marker="canary-7f3a")
    session.sandbox.change("acme", talent_matching=True)
    reply = session.send(f"GET {scope.list}", session.client.issue())
    (record,) = content(reply)
    assert reply.status == 200
    assert "canary-7f3a" in json.dumps(record)
    session.client.ticked = frozenset(known()) - {scope.name}
    assert session.send(f"GET {scope.list}", session.client.issue()).status == 403
    assert session.last().reason is AnswerReason.NO_SCOPE


@pytest.mark.parametrize("resource", ["webhooks", "ai_opt_out_statuses"])
def test_two_lists_need_more_than_their_scope(resource: str) -> None:
    """One is for partners' clients, one for accounts with a product; others are refused even with the scope."""
    session = sandbox_v3_session()
    assert session.send(f"GET /v3/{resource}", session.client.issue()).status == 403
    assert session.last().reason is AnswerReason.NOT_FOR_THIS_ACCOUNT


def test_records_of_accounts_are_separate() -> None:
    """The same list has a different record in each account, and so has each list of one account."""
    session = sandbox_v3_session()
    other = session.sandbox.add_client(session.sandbox.add_account("globex").name)
    first, second = (content(session.send("GET /v3/jobs", each.issue()))[0]["id"] for each in (session.client, other))
    assert first != second
    ids = {session.account.records.of_v3(each.resource)["id"] for each in LISTS}
    assert len(ids) == len(LISTS)


@pytest.mark.parametrize("role", ["Site Admin", "site_admin", None])
def test_a_site_admin_sees_lists(role: str | None) -> None:
    """However the role is spelled; so does a service user."""
    session = sandbox_v3_session(role=role)
    assert session.send("GET /v3/jobs", session.client.issue()).status == 200


def test_a_user_who_loses_the_role_sees_nothing_from_then_on() -> None:
    """Even with a token issued before."""
    session = sandbox_v3_session(sub="77")
    text = session.client.issue()
    assert session.send("GET /v3/jobs", text).status == 200
    session.client.role = "Interviewer"
    assert content(session.send("GET /v3/jobs", text)) == {"message": "Forbidden"}
    assert session.last().reason is AnswerReason.NOT_SITE_ADMIN


@pytest.mark.parametrize(
    "line",
    [
        *(
            "GET /v3",
            "GET /v3/",
            "GET /v3/nothing",
            "GET /v3/jobs/",
            "GET /v3/jobs/7",
            "HEAD /v3/jobs",
            "GET /v3/events",
        ),
        *("POST /v3/users/7", "DELETE /v3/jobs/7", "POST /v3/jobs/7/list", "PATCH /v3/jobs/7/update"),
        "POST /v3/jobs/7/8/9",
    ],
)
def test_an_unknown_path_is_404_before_the_token_is_checked(line: str) -> None:
    """With or without a token."""
    session = sandbox_v3_session()
    for text in (None, session.client.issue()):
        reply = session.send(line, text)
        assert (reply.status, content(reply)) == (404, {"message": "Resource not found"})
    assert session.changes() == []


def line_of(name: str) -> str:
    _, resource, verb = name.split(":")
    lines = {
        "create": f"POST /v3/{resource}",
        "update": f"PATCH /v3/{resource}/7",
        "destroy": f"DELETE /v3/{resource}/7",
    }
    return lines.get(verb, f"POST /v3/{resource}/7/{verb}")


@for_each(WRITES)
def test_a_write_with_its_scope_is_a_change(name: str) -> None:
    """It is logged as one; without the scope or without a token nothing is."""
    session = sandbox_v3_session([name])
    line = line_of(name)
    assert session.send(line, None).status == 401
    assert session.send(line, session.client.issue(), b"{}").status in (200, 201)
    assert session.changes() == [f"would have used {name} on {line.split(' ')[1]}"]
    session.client.untick(name)
    assert session.send(line, session.client.issue(), b"{}").status == 403
    assert len(session.changes()) == 1


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_write_may_use_another_method(method: str) -> None:
    """A scope's name does not say which method its path takes, so every writing method counts as a change."""
    assert scope_for(method, "/v3/approval_flows/7/replace_approver_groups") is not None
    assert scope_for("POST", "/v3/candidates/merge") is not None
    assert scope_for("GET", "/v3/candidates/merge") is None


def test_every_answer_states_the_limit() -> None:
    """Also a 401, a 404, and a 429, which adds when to retry; the window is thirty seconds long.

    As recorded, the reset runs ahead: thirty seconds from the answer, though the window begins at :00 and :30.
    """
    session = sandbox_v3_session(clock=Clock(1_700_000_012.5))
    session.sandbox.change(None, v3_limit=2)
    text = session.client.issue()
    replies = [session.send(line, text) for line in ("GET /v3/jobs", "GET /v3/nothing", "GET /v3/jobs")]
    assert [reply.status for reply in replies] == [200, 404, 429]
    assert [header(reply, "X-RateLimit-Remaining") for reply in replies] == ["1", "0", "0"]
    assert {header(reply, "X-RateLimit-Limit") for reply in replies} == {"2"}
    assert {header(reply, "X-RateLimit-Reset") for reply in replies} == {"1700000042"}
    assert [header(reply, "Retry-After") for reply in replies] == [None, None, "28"]
    assert header(session.send("GET /v3/jobs", None), "X-RateLimit-Remaining") == "1"
    session.clock.now += 28
    assert session.send("GET /v3/jobs", text).status == 200


def test_the_limits_of_v1_and_v3_and_of_partners_are_separate() -> None:
    """Each of an account's three kinds of integration has a separate window."""
    session = sandbox_v3_session()
    session.sandbox.change("acme", limit=1, v3_limit=1)
    key = session.sandbox.add_key("acme")
    second = session.sandbox.add_client("acme", "all", label="Second")
    partner = session.sandbox.add_client("acme", "all", label="Partner", grant="partner")
    assert session.send("GET /v3/jobs", session.client.issue()).status == 200
    assert session.send("GET /v3/jobs", second.issue()).status == 429
    assert session.send("GET /v3/jobs", partner.issue()).status == 200
    assert (
        session.sandbox.handle(SandboxRequest("GET", "/v1/jobs", {"authorization": basic(key.text)})).reply.status
        == 200
    )


def test_other_traffic_takes_its_share() -> None:
    """The customer's own requests count against the limit of v3, too."""
    session = sandbox_v3_session()
    session.sandbox.change("acme", v3_limit=75, other_traffic=70)
    assert header(session.send("GET /v3/jobs", session.client.issue()), "X-RateLimit-Remaining") == "4"


def test_the_headers_can_be_left_out() -> None:
    """Then only Retry-After is left, with a 429."""
    session = sandbox_v3_session()
    session.sandbox.change("acme", v3_limit=1, limit_headers=False)
    text = session.client.issue()
    names = [{name for name, _ in session.send("GET /v3/jobs", text).headers} for _ in range(2)]
    assert names == [{b"X-Request-Id", b"Link"}, {b"X-Request-Id", b"Retry-After"}]


def test_keys_and_tokens_open_only_their_own_version() -> None:
    """A key is no token, a token is no key, and a client by itself opens neither version."""
    session = sandbox_v3_session()
    key, token = session.sandbox.add_key("acme"), session.client.issue()
    client = basic(session.client.client_id, session.client.secret)
    for target, shown in (("/v3/jobs", basic(key.text)), ("/v3/jobs", client), ("/v1/jobs", f"Bearer {token}")):
        assert session.sandbox.handle(SandboxRequest("GET", target, {"authorization": shown})).reply.status == 401
    for shown in (client, basic(token), f"Bearer {key.text}"):
        assert session.sandbox.handle(SandboxRequest("GET", "/v1/jobs", {"authorization": shown})).reply.status == 401
    assert session.send("GET /v3/jobs", key.text).status == 401
    assert session.last().reason is AnswerReason.UNKNOWN_TOKEN


def test_faults_hit_v3() -> None:
    """For the account of the token, on their paths; one that replaces the answer changes nothing."""
    session = sandbox_v3_session()
    session.sandbox.add_fault(Fault(kind=FaultKind.STATUS, account="acme", prefix="/v3/jobs", status=503))
    text = session.client.issue()
    assert [session.send(line, text).status for line in ("GET /v3/jobs", "POST /v3/jobs", "GET /v3/users")] == [
        503,
        503,
        200,
    ]
    assert session.changes() == []


def test_the_retirement_of_v1_leaves_v3_alone() -> None:
    """But a blocked address is refused with an HTML page."""
    session = sandbox_v3_session()
    session.sandbox.change(None, retired="404-html")
    assert session.send("GET /v3/jobs", session.client.issue()).status == 200
    session.sandbox.change("acme", blocked=True)
    assert session.send("GET /v3/jobs", session.client.issue()).content_type.startswith(b"text/html")
