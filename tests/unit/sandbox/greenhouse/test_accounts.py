"""Accounts and keys of the sandbox: which requests are served, and what a change of settings applies to."""

import pytest

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from monitor.sandbox.greenhouse.request_log import AnswerReason
from tests.sandbox_session import UNLIMITED, sandbox_session


def test_a_dead_key_can_be_enabled_again() -> None:
    """A killed key answers like an unknown one until it is enabled."""
    session = sandbox_session()
    session.key.kill()
    assert session.send("GET /v1/jobs").status == 401
    assert (session.last().account, session.last().reason) == ("acme", AnswerReason.DEAD_KEY)
    session.key.enable()
    assert session.send("GET /v1/jobs").status == 200


def test_a_rotated_key_never_works_again() -> None:
    """Rotation gives a text that no key had before, with the same grants; old texts stay refused."""
    session, seen = sandbox_session("gem"), []
    for _ in range(5):
        seen.append(session.key.text)
        assert session.sandbox.rotate("acme") is session.key
        assert session.send("GET /v1/jobs").status == 200
    assert len({*seen, session.key.text}) == 6
    for old in seen:
        reply = session.sandbox.handle(SandboxRequest("GET", "/v1/jobs", {"authorization": basic(old)})).reply
        assert reply.status == 401


def test_keys_of_one_account_are_told_apart() -> None:
    """Two keys of an account have separate grants; with two, a key must be named."""
    session = sandbox_session("gem")
    second = session.sandbox.add_key("acme", ["GET /v1/eeoc"], label="Other")
    assert session.send("GET /v1/eeoc").status == 403
    session.key = second
    assert session.send("GET /v1/eeoc").status == 200
    assert session.last().key == "Other"
    with pytest.raises(ConfigurationError, match="name one by its label"):
        session.sandbox.key("acme")


def test_accounts_do_not_see_each_other() -> None:
    """A record of one customer is not found by another's key."""
    session = sandbox_session()
    other = session.sandbox.add_account("globex")
    assert session.send(f"GET /v1/candidates/{other.records.ids('candidates')[0]}").status == 404


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda sandbox: sandbox.add_account("acme"), "already an account acme"),
        (lambda sandbox: sandbox.add_account("a b"), "cannot name an account"),
        (lambda sandbox: sandbox.add_account("b", limt=1), "limt: is not known here"),
        (lambda sandbox: sandbox.add_key("acme"), "already has a key"),
        (lambda sandbox: sandbox.add_key("acme", label="2", text="sandbox-acme-1"), "already that of another"),
        (lambda sandbox: sandbox.add_key("acme", label="2", text="a:b"), "cannot be sent"),
        (lambda sandbox: sandbox.add_key("acme", label="2", text=""), "cannot be sent"),
        (lambda sandbox: sandbox.account("globex"), "there are: acme"),
        (lambda sandbox: sandbox.change("acme", limit=0), "limit: Input should be greater"),
        (lambda sandbox: sandbox.change(None, orders={"x": "lookup_first"}), "neither a cell"),
        (lambda sandbox: sandbox.change(None, parents={"x": "empty_list"}), "neither a cell"),
        (lambda sandbox: sandbox.change(None, order="header,record"), "'header' is neither a check nor an order: use"),
        (lambda sandbox: sandbox.change("acme", orders={"POST/rest": "permission"}), "on_behalf_of stands there 0"),
        (
            lambda sandbox: sandbox.change("acme", order="record,permission,fields,record,on_behalf_of"),
            "record stands there 2 times: use one of permission_first, lookup_first, permission_last, or each of",
        ),
        (lambda sandbox: sandbox.change("acme", headers={"POST/rest": "never"}), "headers.POST/rest: .*'documented'"),
        (lambda sandbox: sandbox.change("acme", not_needed={"POST/rest": []}), "'POST/rest' is no endpoint: write ME"),
        (lambda sandbox: sandbox.add_fault(Fault(kind=FaultKind.HTML, account="x")), "no account 'x'"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(action: object, words: str) -> None:
    """The message says what is wrong, and the sandbox answers as before."""
    session = sandbox_session()
    with pytest.raises(ConfigurationError, match=words):
        action(session.sandbox)  # type: ignore[operator]
    assert list(session.sandbox.accounts) == ["acme"]
    assert len(session.sandbox.keys.of(session.account)) == 1
    assert session.account.settings.limit == UNLIMITED
    assert session.send("GET /v1/jobs").status == 200


def test_a_change_for_one_account_leaves_the_others_alone() -> None:
    """Blocking one account blocks neither other accounts nor strangers."""
    session = sandbox_session()
    other = session.sandbox.add_key(session.sandbox.add_account("globex").name)
    session.sandbox.change("acme", blocked=True)
    assert session.send("GET /v1/jobs").status == 403
    assert session.last().reason is AnswerReason.BLOCKED
    assert (
        session.sandbox.handle(SandboxRequest("GET", "/v1/jobs", {"authorization": basic(other.text)})).reply.status
        == 200
    )


def test_a_change_for_all_includes_strangers_and_later_accounts() -> None:
    """Retirement for all also applies to the anonymous request and to a later account; it can be undone."""
    session = sandbox_session()
    session.sandbox.change(None, retired="404-html")
    session.sandbox.add_account("later")
    later = session.sandbox.add_key("later")
    requests = [{}, {"authorization": basic(session.key.text)}, {"authorization": basic(later.text)}]
    assert {session.sandbox.handle(SandboxRequest("GET", "/v1/jobs", each)).reply.status for each in requests} == {404}
    assert {entry.reason for entry in session.sandbox.request_log.entries()} == {AnswerReason.RETIRED}
    session.sandbox.change(None, retired=None)
    assert session.send("GET /v1/jobs").status == 200
