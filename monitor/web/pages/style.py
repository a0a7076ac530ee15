"""`/style`: every part of the style sheet once. Only the demo has it."""

from fastapi import APIRouter, Depends, Request, Response

from monitor.web.auth.identity import viewer
from monitor.web.templating import page

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/style")
async def style(request: Request) -> Response:
    return page(request, "style.html")
