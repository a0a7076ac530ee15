"""HEAD reaches the application as GET, except where asking is an act."""

import httpx
from fastapi import FastAPI

from monitor.web.head_requests import head_as_get


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/sign-in/oidc/back")
    async def back() -> str:
        raise AssertionError("the way back from the provider was used up")

    return made


async def test_only_get_brings_somebody_back_from_the_provider() -> None:
    """A link preview that asks with HEAD must not use up what signs in once."""
    transport = httpx.ASGITransport(head_as_get(app()))
    async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
        answer = await client.head("/sign-in/oidc/back")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
