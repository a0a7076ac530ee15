"""A YAML text as plain data that knows the line of each value.

Every value is text exactly as it was written, without YAML's guesses at types: `off` is "off" and no boolean, `007`
keeps its zeros, `2026-05-02` its dashes. What a text means is for the schema to say: a pydantic field that is not
strict reads numbers, dates and booleans from text. Only an empty value, `~` and `null`, none of them quoted, are None.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from checks import json_escapes, text_file
from checks.errors import DocumentError, ReadFailed
from checks.file_errors import may_pass
from checks.json_escapes import HalfEscape
from checks.text_file import NotUtf8

Model = TypeVar("Model", bound=BaseModel)
Part = str | int

# The base loaders resolve nothing; the one in C reads ten thousand tenants in a third of a second.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST = 20
_NULLS = ("", "~", "null")


class Problem(NamedTuple):
    """One thing wrong at one place; as text it is `file:line: field: what is wrong; what to do`."""

    source: str
    line: int
    path: tuple[Part, ...]
    text: str

    @property
    def field(self) -> str:
        return "".join(map(_shown, self.path)).removeprefix(".")

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}:"
        return f"{where} {self.field}: {self.text}" if self.path else f"{where} {self.text}"


def _shown(part: Part) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    # A key pasted where a field's name belongs would be echoed; no field of ours is this long or this odd.
    return f".{part}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,23}", part) else ".(name withheld)"


class _Lines(dict[Part, tuple[int, "_Lines"]]):
    """For each field or index of a container: its line, and the same for what is inside it."""

    __slots__ = ()


_NO_LINES = _Lines()


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a YAML text, or of one part of it, with the places of everything in it.

    `duplicates` are fields that occur twice in one mapping, of which the first is in `data`; `fit` reports them.
    """

    source: str
    data: dict[str, Any] = field(repr=False)
    duplicates: tuple[Problem, ...] = ()
    line: int = 1
    at: tuple[Part, ...] = ()
    _lines: _Lines = field(default_factory=_Lines, repr=False)

    def line_of(self, path: Sequence[Part]) -> int:
        """The line of a field or an index; where it does not exist, the line of what should contain it."""
        return self._place(path)[0]

    def problem(self, path: Sequence[Part], text: str) -> Problem:
        line, shown = self._place(path)
        return Problem(self.source, line, (*self.at, *shown), text)

    def part(self, *path: Part) -> "Document":
        """The mapping at `path` as a document of its own; DocumentError if something else is there."""
        inside: Any = self.data
        lines = self._lines
        for part in path:
            inside, lines = inside[part], lines[part][1]
        if not isinstance(inside, dict):
            raise DocumentError(str(self.problem(path, _MUST_BE_MAPPING)))
        at = (*self.at, *path)
        own = tuple(found for found in self.duplicates if found.path[: len(at)] == at)
        return Document(self.source, inside, own, self.line_of(path), at, lines)

    def fit(self, model: type[Model], also: Iterable[Problem] = ()) -> Model:
        """The data as `model`; DocumentError with every problem found, `also` the caller's, in the order of lines."""
        fitted, found = self._validated(model)
        problems = sorted({*self.duplicates, *found, *also}, key=lambda problem: (problem.line, str(problem)))
        if problems or fitted is None:
            raise DocumentError(*map(str, problems))
        return fitted

    def _validated(self, model: type[Model]) -> tuple[Model | None, list[Problem]]:
        try:
            return model.model_validate(self.data), []
        except ValidationError as error:
            return None, [self.problem(detail["loc"], _sentence(detail)) for detail in error.errors(include_url=False)]

    def _place(self, path: Sequence[Part]) -> tuple[int, list[Part]]:
        """Line and shown path. Parts that pydantic adds (the tag of a union, `[key]`) stand for no field: left out."""
        line, lines, shown = self.line, self._lines, list[Part]()
        for position, part in enumerate(path):
            if part in lines:
                line, lines = lines[part]
                shown.append(part)
            elif position == len(path) - 1 and part != "[key]":
                shown.append(part)
        return line, shown


_MUST_BE_MAPPING = "must be a mapping; write its fields as `name: value`"
_SENTENCES = {
    "missing": "is missing; add it",
    "extra_forbidden": "is no field that belongs here; correct its spelling or remove it",
    "string_type": "must be a text; write one value",
    "list_type": "must be a list; write its items as `- item`",
    "tuple_type": "must be a list; write its items as `- item`",
    "dict_type": _MUST_BE_MAPPING,
    "model_type": _MUST_BE_MAPPING,
    "model_attributes_type": _MUST_BE_MAPPING,
    "literal_error": "must be {expected}; write one of these",
    "enum": "must be {expected}; write one of these",
    "union_tag_invalid": "must have {discriminator} {expected_tags}; write one of these",
    "union_tag_not_found": "must have {discriminator}; add it",
    "too_short": "must hold {min_length} or more; add what is missing",
    "string_too_short": "must not be empty; write at least {min_length} character",
    "string_too_long": "is longer than {max_length} characters; shorten it",
}


def _sentence(detail: ErrorDetails) -> str:
    """What pydantic found, in our words; the value itself is never in it, since it may be a secret."""
    context = detail.get("ctx", {})
    if isinstance(context.get("error"), ValueError):
        return str(context["error"])
    if detail["type"] in _SENTENCES:
        said = _SENTENCES[detail["type"]].format_map(context)
    else:
        # Behind the comma is what a parser met in the value.
        said = f"{detail['msg'].partition(',')[0].replace('Input should', 'should')}; correct it"
    return f"is empty, and {said}" if detail["input"] is None and detail["type"] != "missing" else said


def read(path: Path) -> Document:
    """The document in a file, known by the path as it was given; DocumentError if there is none or it can't be read.

    ReadFailed if it could not be read this time.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise not_read(str(path), error) from error
    return parse(raw, str(path))


def not_read(source: str, error: OSError) -> DocumentError | ReadFailed:
    """What to raise for a document that the system did not let us read."""
    reason = error.strerror or type(error).__name__
    if may_pass(error):
        return ReadFailed(
            f"{source}: cannot be read right now ({reason}): if this lasts, see to the drive it is on, and to this "
            "machine's memory and limit of open files"
        )
    return DocumentError(f"{source}: cannot be read ({reason}); check the path and its permissions")


def parse(raw: bytes, source: str) -> Document:
    """The document in a YAML text in UTF-8; `source` names it in messages. DocumentError if it is no mapping."""
    text = _decoded(raw, source)
    builder = _Builder(source)
    try:
        for event in yaml.parse(_with_joined_escapes(text, source), Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        problem = _syntax_problem(error, text, source)
    else:
        return builder.document()
    # Raised here, so that the YAML error, which can quote the text, does not travel with it.
    raise DocumentError(str(problem))


def _decoded(raw: bytes, source: str) -> str:
    try:
        return text_file.decoded(raw)
    except NotUtf8 as error:
        raise DocumentError(str(Problem(source, error.line, (), str(error)))) from None


def _with_joined_escapes(text: str, source: str) -> str:
    try:
        return json_escapes.joined(text, _LOADER)
    except HalfEscape as error:
        raise DocumentError(str(Problem(source, error.line, (), str(error)))) from None


def _syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        return Problem(source, line, (), f"holds the control character U+{error.character:04X}; remove it")
    problem, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    # The loader in Python quotes what it met; a longer quotation could be a secret.
    said = re.sub(r"'[^']{2,}'", "something else", getattr(error, "problem", None) or "the text ends too early")
    since = f" (in what begins on line {begun.line + 1})" if begun and problem and begun.line != problem.line else ""
    return Problem(source, problem.line + 1 if problem else 1, (), f"is not YAML: {said}{since}; correct it there")


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read. `key` is where its next value goes: None while a field's name is due."""

    values: dict[str, Any] | list[Any]
    line: int
    key: Part | None = None
    key_line: int = 0
    lines: _Lines = field(default_factory=_Lines)

    def put(self, value: object, line: int, inside: _Lines) -> None:
        if isinstance(self.values, list):
            self.lines[len(self.values)] = (line, inside)
            self.values.append(value)
            self.key = len(self.values)
        elif isinstance(self.key, str):
            if self.key not in self.lines:
                self.lines[self.key] = (self.key_line, inside)
                self.values[self.key] = value
            self.key = None


class _Builder:
    """Makes data of YAML's events. The stack is its own, for the parser's own recursion dies of deep nesting."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._stack = [_Frame([], 1, 0)]
        self._duplicates: list[Problem] = []
        self._documents = 0
        self._take: dict[type[Event], Callable[[Any], None]] = {
            DocumentStartEvent: self._start_document,
            ScalarEvent: self._scalar,
            MappingStartEvent: self._start_mapping,
            SequenceStartEvent: self._start_list,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            AliasEvent: self._refuse_alias,
        }

    def take(self, event: Event) -> None:
        handle = self._take.get(type(event))
        if handle:
            handle(event)

    def document(self) -> Document:
        root = self._stack[0]
        if not isinstance(root.values, list) or root.values in ([], [None]):
            raise self._error(1, "is empty; write the fields that belong in it")
        data, (line, lines) = root.values[0], root.lines[0]
        if not isinstance(data, dict):
            raise self._error(line, _MUST_BE_MAPPING)
        return Document(self._source, data, tuple(self._duplicates), line, (), lines)

    def _start_document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._error(_line(event), "a second document begins here (`---`); keep one document in the file")

    def _scalar(self, event: ScalarEvent) -> None:
        self._refuse_extras(event)
        frame = self._stack[-1]
        if frame.key is None:
            self._name(frame, event.value, _line(event))
        else:
            empty = event.implicit[0] and event.value in _NULLS
            frame.put(None if empty else event.value, _line(event), _NO_LINES)

    def _name(self, frame: _Frame, name: str, line: int) -> None:
        frame.key, frame.key_line = name, line
        if name in frame.lines:
            text = f"occurs twice in the same mapping, first on line {frame.lines[name][0]}; keep one of them"
            self._duplicates.append(Problem(self._source, line, self._path(), text))

    def _start_mapping(self, event: MappingStartEvent) -> None:
        self._start(event, _Frame({}, _line(event)))

    def _start_list(self, event: SequenceStartEvent) -> None:
        self._start(event, _Frame([], _line(event), 0))

    def _start(self, event: MappingStartEvent | SequenceStartEvent, frame: _Frame) -> None:
        self._refuse_extras(event)
        if self._stack[-1].key is None:
            raise self._error(frame.line, "a list or mapping is where a field's name belongs; write a plain name")
        if len(self._stack) > _DEEPEST:
            raise self._error(frame.line, f"is nested deeper than {_DEEPEST} levels; nothing in this file needs that")
        self._stack.append(frame)

    def _end(self, event: Event) -> None:
        frame = self._stack.pop()
        self._stack[-1].put(frame.values, frame.line, frame.lines)

    def _refuse_extras(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        if event.anchor is not None:
            raise self._error(_line(event), "an anchor (`&`) is not supported; write the value out, or quote it")
        if event.tag is not None:
            raise self._error(_line(event), "a tag (`!`) is not supported; write the value without it, or quote it")

    def _refuse_alias(self, event: AliasEvent) -> None:
        # Aliases let a few lines unfold to gigabytes.
        raise self._error(_line(event), "an alias (`*`) is not supported; write the value out, or quote it")

    def _path(self) -> tuple[Part, ...]:
        return tuple(frame.key for frame in self._stack[1:] if frame.key is not None)

    def _error(self, line: int, text: str) -> DocumentError:
        return DocumentError(str(Problem(self._source, line, self._path(), text)))


def _line(event: Event) -> int:
    # Every event of either loader carries its mark; the stubs leave it open.
    return event.start_mark.line + 1 if event.start_mark else 1
