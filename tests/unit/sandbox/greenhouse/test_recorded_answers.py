"""The sandbox's answers compared with recorded ones, each with its source."""

from typing import Any

import yaml

from monitor.sandbox.greenhouse.request import SandboxRequest, basic
from tests.cases import for_each
from tests.paths import FIXTURES
from tests.sandbox_session import SandboxSession, content, header, sandbox_session

RECORD: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "recorded_answers.yaml").read_text("utf-8"))
REJECTED = 4  # the fourth application is rejected and so has no offer; the fifth is private, the fifth user powerless


def filled(text: str, session: SandboxSession) -> str:
    """The text with its {words} replaced by ids of existing records."""
    records = session.account.records
    applications, users = records.ids("applications"), records.ids("users")
    words = {
        "candidate": records.ids("candidates")[0],
        "application": applications[0],
        "application_without_offer": applications[REJECTED - 1],
        "private_application": applications[-1] + 1,
        "user": users[0],
        "powerless_user": users[-1],
    }
    for word, identity in words.items():
        text = text.replace(f"{{{word}}}", str(identity))
    return text


def authorization(kind: str, session: SandboxSession) -> dict[str, str]:
    headers = {
        "live": basic(session.key.text),
        "dead": basic(session.key.text),
        "unknown": basic("nobody"),
        "malformed": "Basic not-base64!",
    }
    return {"authorization": headers[kind]} if kind in headers else {}


@for_each(RECORD, ids=lambda row: row["situation"])
def test_the_answer_is_the_recorded_one(row: dict[str, Any]) -> None:
    """In each situation the sandbox answers with the recorded status and body."""
    session = sandbox_session(row.get("grants", "all"), **row.get("settings", {}))
    kind = row.get("key", "live")
    if kind == "dead":
        session.key.kill()
    headers = {name.lower(): filled(value, session) for name, value in row.get("headers", {}).items()}
    method, target = filled(row["request"], session).split(" ")
    request = SandboxRequest(method, target, headers | authorization(kind, session), row.get("body", "").encode())
    reply = session.sandbox.handle(request).reply

    assert reply.status == row["status"]
    assert reply.content_type.startswith(
        b"text/html" if row.get("html") or row["status"] == 301 else b"application/json"
    )
    if "answer" in row:
        assert content(reply) == row["answer"]
    assert session.changes() == []


def test_every_situation_names_its_source() -> None:
    """Each row of the fixture has one of the known marks and a source, and no situation is there twice."""
    assert {row["provenance"] for row in RECORD} == {"R", "T", "D", "?"}
    assert all(row["source"] for row in RECORD)
    assert len({row["situation"] for row in RECORD}) == len(RECORD) >= 38


def test_the_permission_text_is_always_the_same() -> None:
    """A refusal for a missing permission has the one quoted text, with either status and in either shape."""
    for status in (401, 403):
        for shape in ("message", "errors"):
            reply = sandbox_session("none", denial_status=status, denial_shape=shape).send("GET /v1/jobs")
            assert reply.status == status
            assert b'"This API Key does not have permission for this endpoint"' in reply.body


def test_a_refused_key_still_counts_against_a_limit() -> None:
    """A 401 for an unknown key has the rate limit headers, as recorded in 2020."""
    session = sandbox_session()
    reply = session.sandbox.handle(SandboxRequest("GET", "/v1/candidates", {"authorization": basic("nobody")})).reply
    assert (header(reply, "X-RateLimit-Limit"), header(reply, "X-RateLimit-Remaining")) == ("50", "49")


def test_a_429_leaves_out_limit_and_remaining() -> None:
    """Over the limit there are only X-RateLimit-Reset and Retry-After."""
    session = sandbox_session(limit=1)
    session.send("GET /v1/jobs")
    reply = session.send("GET /v1/jobs")
    assert reply.status == 429
    assert {name for name, _ in reply.headers} == {b"X-RateLimit-Reset", b"Retry-After", b"X-Request-Id"}
