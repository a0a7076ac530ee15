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
class SchemaTable:
    """An object that is sent or answered, by its name in the document."""

    name: str
    description: str
    fields: tuple[FieldRow, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """`schema` is the name of the object in its body, or empty."""

    status: str
    description: str
    schema: str


@dataclass(frozen=True, slots=True)
class OperationView:
    id: str
    method: str
    path: str
    tag: str
    summary: str
    description: str
    parameters: tuple[FieldRow, ...]
    bodies: tuple[SchemaTable, ...]
    answers: tuple[AnswerView, ...]
    errors: tuple[AnswerView, ...]
    example: str
    body_example: str


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """`answers` are the objects that operations answer, each once."""

    operations: tuple[OperationView, ...]
    answers: tuple[SchemaTable, ...]


def reference_view(document: dict[str, Any], base_url: str) -> ReferenceView:
    schemas = _Schemas(document["components"]["schemas"])
    operations = tuple(
        _operation(method, path, operation, schemas, base_url)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    )
    answered = [answer.schema for operation in operations for answer in (*operation.answers, *operation.errors)]
    return ReferenceView(operations, tuple(schemas.named(name) for name in dict.fromkeys(answered) if name))


def _operation(method: str, path: str, operation: dict[str, Any], schemas: "_Schemas", base_url: str) -> OperationView:
    answers = [_answer(status, answer) for status, answer in sorted(operation["responses"].items())]
    sent = operation.get("requestBody", {})
    body = _schema_of(sent)
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
        body_example=_body_example(sent),
    )


def _parameter(parameter: dict[str, Any], schemas: "_Schemas") -> FieldRow:
    name = f"{parameter['name']} ({parameter['in']})"
    schema = parameter["schema"]
    description = parameter.get("description") or schema.get("description", "")
    return FieldRow(name, schemas.type_of(schema), parameter.get("required", False), description)


def _answer(status: str, answer: dict[str, Any]) -> AnswerView:
    schema = _schema_of(answer) or {}
    title = f"{status} {HTTPStatus(int(status)).phrase}"
    return AnswerView(title, answer["description"], _name(schema.get("$ref", "")))


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _schema_of(part: dict[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = part.get("content", {}).get("application/json", {}).get("schema")
    return schema


def _example(method: str, url: str, has_body: bool) -> str:
    # From a file: an argument can be read by everybody on the machine.
    lines = ["curl", '-H "Authorization: Bearer $MONITOR_TOKEN"']
    if has_body:
        lines.append("--json @body.json")
    elif method != "GET":
        lines.append(f"-X {method}")
    address = re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), url)
    return " ".join([*lines, quote(address)])


def _body_example(sent: dict[str, Any]) -> str:
    """What `body.json` may hold; empty if the document has no example."""
    example = sent.get("content", {}).get("application/json", {}).get("example")
    return json.dumps(example, ensure_ascii=False) if example is not None else ""


class _Schemas:
    def __init__(self, components: dict[str, Any]) -> None:
        self._components = components

    def tables(self, schema: dict[str, Any]) -> tuple[SchemaTable, ...]:
        """One for each form: a body of several kinds has several."""
        forms = schema.get("oneOf") or schema.get("anyOf") or [schema]
        return tuple(
            self.named(_name(form["$ref"])) if "$ref" in form else self._table(form["title"], form) for form in forms
        )

    def named(self, name: str) -> SchemaTable:
        return self._table(name, self._components[name])

    def _table(self, name: str, schema: dict[str, Any]) -> SchemaTable:
        return SchemaTable(name, schema.get("description", "").partition("\n")[0], tuple(self._rows(schema, "", 0)))

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
        if schema.get("type") == "string":
            return "time" if schema.get("format") == "date-time" else "text"
        return str(schema.get("type", "any"))

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
        found: dict[str, Any] = self._components[_name(schema["$ref"])]
        return found
