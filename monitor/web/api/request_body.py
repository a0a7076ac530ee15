"""Bodies of the API, read by hand: FastAPI reads one before it asks who sends it, and would repeat it in its errors."""

from http import HTTPStatus
from typing import TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from monitor.web.errors import RequestRefused, invalid_request

LARGEST = 64 * 1024

Body = TypeVar("Body")


async def read_body(request: Request, adapter: TypeAdapter[Body], tags: frozenset[str] = frozenset()) -> Body:
    """RequestRefused if it is no JSON, too large, or does not fit; its values are in no message.

    `tags` are those of a union, which are no part of a field's name.
    """
    # A page of another site can have a signed-in browser send a form, or text, but not this type.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "the body is not sent as JSON",
            "Send it with the header `Content-Type: application/json`.",
        )
    content = await _content(request)
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    # Outside of `except`: pydantic's error holds what was sent, and would be the context of ours.
    raise invalid_request([{**problem, "loc": ("body", *_field(problem["loc"], tags))} for problem in problems])


def _field(loc: tuple[int | str, ...], tags: frozenset[str]) -> tuple[int | str, ...]:
    return loc[1:] if loc and loc[0] in tags else loc


async def _content(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > LARGEST:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                f"the body is larger than the {LARGEST // 1024} KiB that are read",
                "Send less.",
            )
    return bytes(chunks)
