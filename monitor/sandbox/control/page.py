"""The control page: `page.html` with `page.css` and `page.js` put in, so that it loads nothing else."""

from functools import cache
from importlib import resources


@cache
def page_html() -> str:
    text = _read("page.html")
    for name in ("page.css", "page.js"):
        text = text.replace(f"/* {name} */\n", _read(name))
    return text


def _read(name: str) -> str:
    return resources.files("monitor.sandbox.control").joinpath(name).read_text(encoding="utf-8")
