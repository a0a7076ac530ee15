"""The pages /api/docs and /api/openapi.json. The first is a page of ours: nothing is loaded from elsewhere."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from monitor.web.api.openapi_document import openapi_document
from monitor.web.api.operation_view import reference_view
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading
from monitor.web.templating import page

router = APIRouter(prefix="/api", include_in_schema=False, dependencies=[Depends(viewer)])


def described(request: Request) -> dict[str, Any]:
    """Made once: the routes do not change while the service runs."""
    state = request.app.state
    if not hasattr(state, "openapi_document"):
        state.openapi_document = openapi_document(request.app)
    document: dict[str, Any] = state.openapi_document
    return document


@router.get("/openapi.json")
async def openapi_json(request: Request) -> Response:
    return JSONResponse(described(request))


@router.get("/docs")
async def reference(request: Request) -> Response:
    document = described(request)
    address = context(request).settings.public_url or str(request.base_url)
    async with reading(request):  # what the frame of every page shows
        return page(
            request,
            "api.html",
            description=document["info"]["description"],
            reference=reference_view(document, address.rstrip("/")),
        )
