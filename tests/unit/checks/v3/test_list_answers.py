"""Answers of v3's lists: a refusal is known by its body, or by the header alone."""

import pytest

from checks.answer import AnswerKind
from checks.v3.list_answers import reduce_listed

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("status", "challenge", "body", "kind"),
    [
        (401, 'Bearer error="invalid_token"', b"", AnswerKind.UNAUTHORIZED),
        (401, 'Bearer realm="v3", error="invalid_token", error_description="expired"', b"", AnswerKind.UNAUTHORIZED),
        (401, "Bearer error=invalid_token", b"", AnswerKind.UNAUTHORIZED),
        (403, 'Bearer error="insufficient_scope", scope="harvest:jobs:list"', b"", AnswerKind.FORBIDDEN),
        (401, 'Basic realm="x", Bearer error="invalid_token"', b" ", AnswerKind.UNAUTHORIZED),
        (403, 'Bearer realm="x"', b"", AnswerKind.UNKNOWN_REFUSAL),
        (403, 'Bearer error="something_else"', b"", AnswerKind.UNKNOWN_REFUSAL),
        (403, 'Bearer error="insufficient_scope"', b"<html>", AnswerKind.UNKNOWN_REFUSAL),
        (403, "", b"", AnswerKind.UNKNOWN_REFUSAL),
        (200, 'Bearer error="invalid_token"', b"[]", AnswerKind.JSON),
    ],
)
def test_a_refusal_may_give_its_reason_in_the_header_alone(
    status: int, challenge: str, body: bytes, kind: AnswerKind
) -> None:
    """RFC 6750 puts it there, where the API's own refusals may have it, too; a page is still a page."""
    assert reduce_listed(status, {"www-authenticate": challenge}, body).kind is kind


def test_a_body_comes_before_the_header() -> None:
    """A refusal in JSON is the API's, whatever the header says beside it."""
    answer = reduce_listed(
        403, {**JSON, "www-authenticate": 'Bearer error="invalid_token"'}, b'{"message": "Forbidden"}'
    )
    assert answer.kind is AnswerKind.FORBIDDEN
