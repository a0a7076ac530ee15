"""Answers that need not be sent again: JSON with an ETag, and 304 to whoever has it."""

import re
from hashlib import sha256

from fastapi import Request, Response
from pydantic import BaseModel

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


def conditional_json(request: Request, body: BaseModel) -> Response:
    """The answer to a GET. Its tag is of the whole body, so a body must not hold the time at which it was made."""
    content = body.model_dump_json().encode()
    tag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _has(if_none_match: str, tag: str) -> bool:
    """Compared weakly, as RFC 9110 (13.1.2) asks: a proxy that compresses may have made the tag a weak one."""
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
