"""The OpenAPI document of the API alone: neither pages nor metrics are in it."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from monitor.version import VERSION

_DESCRIPTION = (
    "What Harvest Monitor knows, for programs. Every request carries an API token: `Authorization: Bearer …`. "
    "Times are ISO 8601 in UTC. Every error has one shape: a code for programs, a message and a next step for people."
)
_TOKEN = {"type": "http", "scheme": "bearer", "description": "an API token: `harvest-monitor tokens create`"}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Harvest Monitor",
        version=VERSION,
        description=_DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith("/api/v1/")}
    components = document.setdefault("components", {})
    _lift_definitions(document["paths"], components.setdefault("schemas", {}))
    components["schemas"] = _used(components["schemas"], document["paths"])
    components["securitySchemes"] = {"token": _TOKEN}
    document["security"] = [{"token": []}]
    return document


def _lift_definitions(node: Any, schemas: dict[str, Any]) -> None:
    """Bodies that routes read by hand bring their definitions along."""
    if isinstance(node, dict):
        schemas.update(node.pop("$defs", {}))
        for part in node.values():
            _lift_definitions(part, schemas)
    elif isinstance(node, list):
        for part in node:
            _lift_definitions(part, schemas)


def _used(schemas: dict[str, Any], node: Any) -> dict[str, Any]:
    """Those that are referred to, directly or by another, in the order of their names."""
    found: set[str] = set()
    waiting = [node]
    while waiting:
        match waiting.pop():
            case {"$ref": str(ref)}:
                name = ref.rpartition("/")[2]
                if name not in found:
                    found.add(name)
                    waiting.append(schemas[name])
            case dict() as part:
                waiting.extend(part.values())
            case list() as parts:
                waiting.extend(parts)
    return {name: schemas[name] for name in sorted(found)}
