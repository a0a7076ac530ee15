"""The OpenAPI document as the page /api/docs shows it: flat tables instead of nested schemas. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from shlex import quote
from typing import Any

_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class FieldRow:
    """`name` is the whole path of a field, such as `items[].label`."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class BodyTable:
    """One form of a body; a body of several kinds has several."""

    title: str
    fields: tuple[FieldRow, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    status: str
    description: str
    tables: tuple[BodyTable, ...]


@dataclass(frozen=True, slots=True)
class OperationView:
    id: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    parameters: tuple[FieldRow, ...]
    bodies: tuple[BodyTable, ...]
    answers: tuple[AnswerView, ...]
    errors: tuple[AnswerView, ...]
    example: str


def operation_views(document: dict[str, Any], base_url: str) -> list[OperationView]:
    schemas = _Schemas(document["components"]["schemas"])
    return [
        _operation(method, path, operation, schemas, base_url)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def _operation(method: str, path: str, operation: dict[str, Any], schemas: "_Schemas", base_url: str) -> OperationView:
    answers = [_answer(status, answer, schemas) for status, answer in sorted(operation["responses"].items())]
    body = _schema_of(operation.get("requestBody", {}))
    return OperationView(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        tag=(operation.get("tags") or [""])[0],
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        parameters=tuple(_parameter(one, schemas) for one in operation.get("parameters", [])),
        bodies=schemas.tables(body) if body else (),
        answers=tuple(answer for answer in answers if answer.status < "400"),
        errors=tuple(answer for answer in answers if answer.status >= "400"),
        example=_example(method.upper(), base_url + path, body is not None),
    )


def _parameter(parameter: dict[str, Any], schemas: "_Schemas") -> FieldRow:
    name = f"{parameter['name']} ({parameter['in']})"
    schema = parameter["schema"]
    description = parameter.get("description") or schema.get("description", "")
    return FieldRow(name, schemas.type_of(schema), parameter.get("required", False), description)


def _answer(status: str, answer: dict[str, Any], schemas: "_Schemas") -> AnswerView:
    schema = _schema_of(answer)
    title = f"{status} {HTTPStatus(int(status)).phrase}"
    return AnswerView(title, answer["description"], schemas.tables(schema) if schema else ())


def _schema_of(part: dict[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = part.get("content", {}).get("application/json", {}).get("schema")
    return schema


def _example(method: str, url: str, has_body: bool) -> str:
    # From a file: an argument can be read by everybody on the machine.
    lines = ["curl", '-H "Authorization: Bearer $HARVEST_MONITOR_TOKEN"']
    if has_body:
        lines.append("--json @body.json")
    elif method != "GET":
        lines.append(f"-X {method}")
    address = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), url)
    return " ".join([*lines, quote(address)])


class _Schemas:
    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components

    def tables(self, schema: dict[str, Any]) -> tuple[BodyTable, ...]:
        forms = schema.get("oneOf") or schema.get("anyOf") or [schema]
        return tuple(self._table(self._resolved(form)) for form in forms)

    def type_of(self, schema: dict[str, Any]) -> str:
        """In words: `text`, `list of text`, `off | safe | all`, `text or null`."""
        schema = self._resolved(schema)
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " | ".join(map(str, schema["enum"]))
        if "anyOf" in schema:
            return " or ".join(self.type_of(form) for form in schema["anyOf"])
        if schema.get("type") == "array":
            return f"list of {self.type_of(schema.get('items', {}))}"
        return str({"string": schema.get("format", "text"), None: "any"}.get(schema.get("type"), schema.get("type")))

    def _table(self, schema: dict[str, Any]) -> BodyTable:
        title = schema.get("description", "").partition("\n")[0] or schema.get("title", "")
        return BodyTable(title, tuple(self._rows(schema, "", 0)))

    def _rows(self, schema: dict[str, Any], prefix: str, depth: int) -> Iterator[FieldRow]:
        required = schema.get("required", [])
        # What is needed first: the fields of a base class come before those of the kind.
        for name, field in sorted(schema.get("properties", {}).items(), key=lambda named: named[0] not in required):
            description = field.get("description", "")
            yield FieldRow(prefix + name, self.type_of(field), name in required, description)
            inner, suffix = self._inner(field)
            if inner is not None and depth < _DEEPEST:
                yield from self._rows(inner, f"{prefix}{name}{suffix}", depth + 1)

    def _inner(self, field: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        """The object in a field, or in a list of them, with what stands between the two names."""
        for form in map(self._resolved, field.get("anyOf", [field])):
            if "properties" in form:
                return form, "."
            if form.get("type") == "array":
                items = self._resolved(form.get("items", {}))
                return (items, "[].") if "properties" in items else (None, "")
        return None, ""

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        found: dict[str, Any] = self._components[schema["$ref"].rpartition("/")[2]]
        return found
