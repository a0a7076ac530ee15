"""`/permissions`: how many tenants lack each, since when, and from there to the tenants."""

from fastapi import APIRouter, Depends, Request, Response

from monitor.reporting import permission_list_queries, service_queries
from monitor.reporting.service_queries import DAY
from monitor.web.auth.identity import viewer
from monitor.web.context import context, reading
from monitor.web.templating import page

router = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)


@router.get("/permissions")
async def permissions(request: Request) -> Response:
    async with reading(request) as conn:
        rows = await permission_list_queries.lacked(conn, request.state.now - DAY)
        tenants = sum((await service_queries.tenants_by_status(conn)).values())
    manifest = context(request).registry().manifest(None)
    lacked = {row.id for row in rows}
    return page(
        request,
        "permissions.html",
        section="Permissions",
        rows=rows,
        tenants=tenants,
        most=max((row.tenants for row in rows), default=1),
        manifest=manifest,
        complete=[permission for permission in manifest.permissions if permission.id not in lacked],
    )
