"""docs/api.md tells of the API as it is."""

import ast
import json
import re
from typing import Any, cast

from fastapi import FastAPI

from checks.credential import CredentialKind
from monitor.checking.preflight.preflight_queue import MOST_OPEN, MOST_RUNNING, PreflightQueue
from monitor.web.api.checks import LONGEST_WAIT_SECONDS
from monitor.web.api.openapi_document import openapi_document
from monitor.web.api.preflight_body import PREFLIGHT_BODY
from monitor.web.api.router import add_api
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


def documented() -> dict[str, Any]:
    app = FastAPI()
    add_api(app, cast(PreflightQueue, None), lambda address: False)
    return openapi_document(app)


def test_the_page_lists_every_operation_and_no_other() -> None:
    """By method and path, in the order of the OpenAPI document."""
    listed = re.findall(r"^\| `([A-Z]+ /api/\S+)` \|", PAGE, re.M)
    paths = documented()["paths"]
    assert listed == [f"{method.upper()} {path}" for path, item in paths.items() for method in item]


def test_the_bodies_of_the_page_are_taken() -> None:
    """Both kinds, once the words in them are secrets; every field that is not needed is in the table."""
    bodies = [json.loads(found) for found in re.findall(r'^(\{\s*"kind".*?\})$', PAGE, re.M | re.S)]
    assert [body["kind"] for body in bodies] == list(CredentialKind)
    for body in bodies:
        secrets = {name: f"c4na4y{name}" for name in ("key", "client_id", "client_secret", "token") if name in body}
        model = PREFLIGHT_BODY.validate_python({**body, **secrets})
        optional = {name for name, field in type(model).model_fields.items() if not field.is_required()}
        assert {name for name in optional - {"store"} if f"`{name}`" not in PAGE} == set()


def test_the_codes_of_the_page_are_those_of_the_code() -> None:
    """Each is a text in the code, so that none is reworded on one side only."""
    codes = {code for row in re.findall(r"^\| (`.+?) \| \d{3} \|", PAGE, re.M) for code in re.findall(r"`(\w+)`", row)}
    files = [*(ROOT / "monitor" / "web").rglob("*.py"), *(ROOT / "monitor" / "checking" / "preflight").glob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert len(codes) >= 9
    assert codes - texts == set()


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    """How many are taken, how many run, and how long one may wait."""
    assert f"{MOST_OPEN} are open at once, four of them running" in PAGE
    assert MOST_RUNNING == 4
    assert f"`wait` seconds ({LONGEST_WAIT_SECONDS} at most)" in PAGE
