"""Pages from the templates of templates/web: HTML escaped, and every undefined name an error."""

from datetime import datetime
from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def page(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The page for this request, as its signed-in reader sees it."""
    frame = {"identity": getattr(request.state, "identity", None)}
    html = environment().get_template(template).render({**frame, **values})
    return HTMLResponse(html, status_code=status_code)


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("templates", "web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(when=_when)
    return made


def _when(at: datetime) -> Markup:
    return Markup('<time datetime="{0}">{0}</time>').format(at.strftime("%Y-%m-%dT%H:%M:%SZ"))
