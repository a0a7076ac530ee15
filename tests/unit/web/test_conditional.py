"""ETags, and 304 to whoever has the answer."""

from typing import Any

import pytest
from fastapi import Request, Response
from pydantic import BaseModel

from monitor.web.conditional import conditional_json


class Greeting(BaseModel):
    text: str


def answer(text: str = "hello", if_none_match: str | None = None) -> Response:
    headers = [] if if_none_match is None else [(b"if-none-match", if_none_match.encode())]
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    return conditional_json(Request(scope), Greeting(text=text))


def test_whoever_has_the_answer_gets_304_without_a_body(subtests: pytest.Subtests) -> None:
    """By the tag alone, in a list, made weak on its way, or by a star."""
    tag = answer().headers["etag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        with subtests.test(sent):
            unchanged = answer(if_none_match=sent)
            assert (unchanged.status_code, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)


def test_another_tag_gets_the_answer(subtests: pytest.Subtests) -> None:
    """One of another body, a part of ours, and what is no tag."""
    tag = answer().headers["etag"]
    for sent in (None, "", answer("bye").headers["etag"], tag[:-2] + '"', tag.strip('"'), "x"):
        with subtests.test(str(sent)):
            sent_again = answer(if_none_match=sent)
            assert (sent_again.status_code, sent_again.body) == (200, b'{"text":"hello"}')


def test_no_shared_cache_keeps_it() -> None:
    """It is about customers, and the next reader may have another role."""
    assert answer().headers["cache-control"] == "private, no-cache"
