"""The style sheet, the script and the icon, under names that change with their content."""

from functools import cache
from hashlib import sha256
from importlib import resources

from fastapi import APIRouter, HTTPException, Response

_TYPES = {"pages.css": "text/css", "pages.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FOR_A_YEAR = "public, max-age=31536000, immutable"

router = APIRouter(prefix="/static", include_in_schema=False)


@router.get("/{digest}/{name}")
async def static(digest: str, name: str) -> Response:
    if name not in _TYPES:
        raise HTTPException(404)
    # An old page may ask under an old digest: it gets today's file, and must not keep it under that name.
    caching = _FOR_A_YEAR if digest == _digest(name) else "no-cache"
    return Response(_content(name), media_type=_TYPES[name], headers={"Cache-Control": caching})


def static_path(name: str) -> str:
    return f"/static/{_digest(name)}/{name}"


@cache
def _content(name: str) -> bytes:
    return resources.files("templates").joinpath("web", name).read_bytes()


@cache
def _digest(name: str) -> str:
    return sha256(_content(name)).hexdigest()[:12]
