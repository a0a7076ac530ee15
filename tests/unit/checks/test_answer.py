"""How answers are read: the recorded answers that the sandbox imitates, without the sandbox."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from checks.answer import Answer, AnswerKind
from checks.catalogue.endpoints import catalogue
from checks.v1.key_answers import reduce
from checks.v1.verdicts import Evidence, KeyRule, judge
from tests.cases import for_each
from tests.paths import FIXTURES

RECORDED: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "recorded_answers.yaml").read_text("utf-8"))
BY_SITUATION = {row["situation"]: row for row in RECORDED}
KINDS = {
    "Invalid Basic Auth credentials": AnswerKind.INVALID_KEY,
    "This API Key does not have permission for this endpoint": AnswerKind.PERMISSION,
    "Resource not found": AnswerKind.NOT_FOUND,
    "Not found": AnswerKind.NOT_FOUND,
    "You do not have access to that record": AnswerKind.NO_ACCESS,
    "Access denied": AnswerKind.NO_ACCESS,
    "Invalid JSON Payload": AnswerKind.BAD_PAYLOAD,
}
"""What each recorded text means, taken from the records and not from the code."""


ASKED = {
    "GET": catalogue().entry("GET /v1/jobs/{id}"),
    "LIST": catalogue().entry("GET /v1/users"),
    "POST": catalogue().entry("POST /v1/applications/{id}/move"),
    "PUT": catalogue().entry("PUT /v1/candidates/merge"),
    "PATCH": catalogue().entry("PATCH /v1/candidates/{id}"),
    "DELETE": catalogue().entry("DELETE /v1/candidates/{candidate_id}/tags/{tag_id}"),
}


def read(method: str, status: int, headers: dict[str, str], body: bytes, *, complete: bool = True) -> Answer:
    return reduce(ASKED[method], status, headers, body, complete=complete)


def recorded(row: dict[str, Any]) -> Answer:
    body = json.dumps(row["answer"]).encode() if "answer" in row else b"<html><body>refused</body></html>"
    content_type = "application/json" if "answer" in row else "text/html"
    return read(row["request"].split(" ")[0], row["status"], {"content-type": content_type}, body)


def expected(row: dict[str, Any]) -> AnswerKind | None:
    answer = row.get("answer")
    if row["status"] == 422:
        return AnswerKind.VALIDATION
    if row["status"] == 429:
        return AnswerKind.RATE_LIMITED
    if isinstance(answer, dict):
        texts = [answer.get("message"), *(error.get("message") for error in answer.get("errors", []))]
        return next((KINDS[text] for text in texts if text in KINDS), None)
    return None


@for_each([r for r in RECORDED if expected(r)], ids=lambda r: r["situation"])
def test_every_recorded_answer_is_read_correctly(row: dict[str, Any]) -> None:
    """A recorded status and body have the one meaning that was recorded with them."""
    assert recorded(row).kind is expected(row)


def test_every_meaning_that_decides_was_recorded() -> None:
    """There is a recorded answer for every kind that a verdict relies on."""
    assert {expected(row) for row in RECORDED} >= {*KINDS.values(), AnswerKind.VALIDATION}


DENIAL = {"message": "This API Key does not have permission for this endpoint"}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [
        DENIAL,
        {"errors": [DENIAL]},
        {"message": " this api key does  not have PERMISSION\n for this endpoint"},  # any case and white space
    ],
)
def test_the_permission_text_is_recognized_in_either_shape_and_spelling(status: int, body: dict[str, Any]) -> None:
    """401 or 403, message or errors, any letter case and white space."""
    assert read("GET", status, {}, json.dumps(body).encode()).kind is AnswerKind.PERMISSION


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, b"", AnswerKind.UNKNOWN_REFUSAL),
        (401, b"", AnswerKind.UNKNOWN_REFUSAL),
        (403, b"<html>does not have permission for this endpoint</html>", AnswerKind.UNKNOWN_REFUSAL),  # in a page
        (403, b'{"message":"IP address not allowed"}', AnswerKind.UNKNOWN_REFUSAL),
        (403, b'{"message":"Invalid Basic Auth credentials"}', AnswerKind.UNKNOWN_REFUSAL),  # only with 401
        (401, b'{"message":"Resource not found"}', AnswerKind.UNKNOWN_REFUSAL),
        # the permission text with a status it was never recorded with is neither a refusal nor a pass
        (404, b'{"message":"This API Key does not have permission for this endpoint"}', AnswerKind.GONE),
        (200, b'{"message":"This API Key does not have permission for this endpoint"}', AnswerKind.IMPOSSIBLE),
        (
            422,
            b'{"errors":[{"message":"This API Key does not have permission for this endpoint"}]}',
            AnswerKind.UNEXPECTED,
        ),
        (200, b'{"error":"blocked by gateway policy"}', AnswerKind.IMPOSSIBLE),
        (200, b'{"errors":[],"message":"x"}', AnswerKind.IMPOSSIBLE),
        (200, b'{"id":1,"message":"x"}', AnswerKind.IMPOSSIBLE),
        (200, b'{"maintenance":true}', AnswerKind.IMPOSSIBLE),
        (200, b'{"notes":[],"emails":[{"id":1}]}', AnswerKind.IMPOSSIBLE),
        (200, b"{}", AnswerKind.UNEXPECTED),
        (200, b"[]", AnswerKind.IMPOSSIBLE),
        (200, b'{"notes":[],"total":0,"next":null,"page":{"size":0,"q":""}}', AnswerKind.UNEXPECTED),
        (200, b'{"a":' * 900 + b"[]" + b"}" * 900, AnswerKind.UNEXPECTED),
        (200, b'{"notes":[],"emails":[]}', AnswerKind.UNEXPECTED),  # no data, and no page of a gateway either
        (201, b'{"id":1}', AnswerKind.UNEXPECTED),
        (206, b"[]", AnswerKind.UNEXPECTED),
        (404, b"<html>gone</html>", AnswerKind.GONE),
        (404, b'{"message":"Resource not found here, try v3"}', AnswerKind.GONE),
        (410, b'{"message":"Resource not found"}', AnswerKind.GONE),
        (422, b"<html>", AnswerKind.UNEXPECTED),
        (400, b'{"message":"Bad Request"}', AnswerKind.UNEXPECTED),
        (200, b"[", AnswerKind.NOT_JSON),
        (200, b"null", AnswerKind.NOT_JSON),
        (200, b'"[]"', AnswerKind.NOT_JSON),
        (200, b"<html>maintenance</html>", AnswerKind.NOT_JSON),
        (200, b"[" * 100_000, AnswerKind.NOT_JSON),  # nested too deep
        (204, b"", AnswerKind.NOT_JSON),
        (301, b"", AnswerKind.REDIRECT),
        (304, b"", AnswerKind.REDIRECT),
        (429, b"<html>", AnswerKind.RATE_LIMITED),
        (500, b'{"message":"Resource not found"}', AnswerKind.SERVER_ERROR),
        (503, b"<html>", AnswerKind.SERVER_ERROR),
        (418, b"{}", AnswerKind.UNEXPECTED),
    ],
)
def test_what_was_never_recorded_is_not_guessed(status: int, body: bytes, kind: AnswerKind) -> None:
    """A known text with another status, a page that quotes it, or an unknown text decides nothing."""
    assert read("GET", status, {}, body).kind is kind


@pytest.mark.parametrize("body", [b'[{"id":1}]', b'{"maintenance":true}'])
def test_a_list_under_no_record_is_empty(body: bytes) -> None:
    """A list under a record that does not exist may answer with an empty array; anything in it is not Greenhouse's."""
    nested = catalogue().entry("GET /v1/jobs/{id}/stages")
    assert reduce(nested, 200, {}, body).kind is AnswerKind.IMPOSSIBLE
    assert reduce(nested, 200, {}, b"[]").kind is AnswerKind.JSON
    job_post = catalogue().entry("GET /v1/jobs/{id}/job_post")
    assert reduce(job_post, 200, {}, b"[]").kind is AnswerKind.IMPOSSIBLE
    assert reduce(job_post, 200, {}, b"{}").kind is AnswerKind.UNEXPECTED


@pytest.mark.parametrize("row", ['{"id":7,"name":"x"}', '{"id":"k7"}', '{"application_id":7,"race":null}'])
def test_rows_of_a_list_have_an_id(row: str) -> None:
    """Their own, or that of the application they belong to."""
    assert read("LIST", 200, {}, f"[{row}]".encode()).kind is AnswerKind.JSON


@pytest.mark.parametrize(
    "item",
    [
        '"Access denied"',
        "null",
        "[]",
        "{}",
        '{"error":"unauthorized"}',
        '{"message":"This API Key does not have permission for this endpoint"}',
        '{"error":"unauthorized","request_id":"a4"}',
        '{"id":null}',
        '{"id":true}',
    ],
)
def test_an_array_of_anything_else_is_no_data(item: str) -> None:
    """Something in between may wrap its words in an array, as gateways for batches do."""
    for items in (f"[{item}]", f'[{{"id":1}},{item}]'):
        assert read("LIST", 200, {}, items.encode()).kind is AnswerKind.UNEXPECTED


@pytest.mark.parametrize("body", [b"{}", b'{"id":1}', b'{"error":"blocked"}'])
def test_data_of_a_list_is_an_array(body: bytes) -> None:
    """Every list of Harvest v1 is documented to answer with an array; an object is something else."""
    assert read("LIST", 200, {}, body).kind is AnswerKind.UNEXPECTED
    assert read("LIST", 200, {}, b"[]").kind is AnswerKind.JSON


def test_an_incomplete_body_is_not_read() -> None:
    """A body that was cut off is not JSON, even if the part looks like it."""
    assert read("GET", 200, {}, b"[]", complete=False).kind is AnswerKind.NOT_JSON


@given(st.integers(100, 599), st.binary(max_size=60), st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
def test_no_answer_breaks_the_reader(status: int, body: bytes, method: str) -> None:
    """Any answer is reduced to some kind, and only the exact known texts to one that decides."""
    answer = read(method, status, {"content-type": "?", "location": body.decode("latin-1")}, body)
    if answer.kind in (AnswerKind.PERMISSION, AnswerKind.INVALID_KEY, AnswerKind.NOT_FOUND, AnswerKind.NO_ACCESS):
        assert b"message" in body


def test_nothing_of_a_body_is_kept_but_the_id_of_a_record_a_write_returned() -> None:
    """An answer keeps no text of the body; from a 2xx on a write it keeps the record's number, for the alarm."""
    body = json.dumps({"id": 4711, "first_name": "Marisol", "email": "m@example.com"}).encode()
    assert "Marisol" not in repr(read("GET", 200, {}, body))
    written = read("POST", 201, {"x-request-id": "abc-1"}, body)
    assert (written.record_id, written.request_id) == ("4711", "abc-1")
    assert "Marisol" not in repr(written)
    assert read("GET", 200, {}, body).record_id is None


@pytest.mark.parametrize("header", ["a b", "x" * 101, "a\r\nb", "", "<script>"])
def test_a_request_id_is_kept_only_as_a_plain_token(header: str) -> None:
    """A server's request id ends up in emails and logs, so only a plain token is accepted."""
    assert read("GET", 200, {"x-request-id": header}, b"[]").request_id is None


JOB, LIST, CONTROL = "GET /v1/jobs/{id}", "GET /v1/users", "GET /v1/approval_flows/{id}"


def judged(situation: str, *, control: str) -> KeyRule:
    """The rule for a record requested by id, answered as in `situation`, with a list that is served and a control."""
    answers = {
        JOB: recorded(BY_SITUATION[situation]),
        LIST: Answer(AnswerKind.JSON, 200),
        CONTROL: recorded(BY_SITUATION[control]),
    }
    evidence = Evidence(catalogue(), answers, required=frozenset({JOB, LIST}), repeated=answers.keys())
    return judge(catalogue().entry(JOB), evidence).rule


DENIED = "no permission for the endpoint, with 403"


@pytest.mark.parametrize(
    ("situation", "control", "rule"),
    [
        ("no permission for the endpoint, with 401", "record not found", KeyRule.MISSING),
        (DENIED, "record not found", KeyRule.MISSING),
        ("no permission for the endpoint, in the shape of a list of errors", "record not found", KeyRule.MISSING),
        ("record not found", DENIED, KeyRule.GRANTED_BY_CONTROL),
        ("record not found, the other shape", DENIED, KeyRule.GRANTED_BY_CONTROL),
        ("record not visible", DENIED, KeyRule.GRANTED_BY_CONTROL),
        ("record not found", "record not found", KeyRule.NO_REFUSAL),
        ("record not found", "address not allowed", KeyRule.NO_REFUSAL),  # a refusal without the text is no control
        ("address not allowed", DENIED, KeyRule.NOT_DECISIVE),
        ("malformed Authorization header", DENIED, KeyRule.NOT_DECISIVE),
        ("over the rate limit", DENIED, KeyRule.NOT_DECISIVE),
        ("GET with a body", DENIED, KeyRule.NOT_DECISIVE),
        ("after the retirement, 404 page", DENIED, KeyRule.NOT_DECISIVE),
        ("after the retirement, redirect", DENIED, KeyRule.NOT_DECISIVE),
    ],
)
def test_verdicts_follow_from_the_recorded_answers(situation: str, control: str, rule: KeyRule) -> None:
    """From the recorded bytes to the rule, without the sandbox."""
    assert judged(situation, control=control) is rule
