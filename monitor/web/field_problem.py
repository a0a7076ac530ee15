"""What pydantic finds wrong with a request, in words of ours: some of its own repeat what was sent. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

ErrorDict = Mapping[str, Any]
"""As pydantic's `errors()` gives them."""


class FieldProblem(ValueError):
    """Raised by validators of the API's models: what is wrong with a field, in words that do not repeat its value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def code_of(problems: Sequence[ErrorDict]) -> str:
    raised = (problem.get("ctx", {}).get("error") for problem in problems)
    return next((error.code for error in raised if isinstance(error, FieldProblem)), "invalid_request")


def in_words(problems: Sequence[ErrorDict]) -> str:
    """Each names its field, and none repeats a value, since that may be a secret."""
    return "; ".join(dict.fromkeys(map(_problem, problems)))


_PLACES = frozenset({"body", "query", "path", "header", "cookie"})
_BOUNDS = {
    "greater_than_equal": ("ge", "must be {} or more"),
    "less_than_equal": ("le", "must be {} or less"),
    "string_too_long": ("max_length", "must have {} characters or fewer"),
    "string_too_short": ("min_length", "must have {} characters or more"),
    "too_long": ("max_length", "must have {} entries or fewer"),
    "too_short": ("min_length", "must have {} entries or more"),
    "string_pattern_mismatch": ("pattern", "must match {}"),
    "literal_error": ("expected", "must be {}"),
    "enum": ("expected", "must be {}"),
    "union_tag_invalid": ("expected_tags", "must have a field `kind` that is one of {}"),
}
_TYPES = {
    "missing": "is missing",
    "extra_forbidden": "has a field that is not known",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "json_invalid": "is not JSON",
    "union_tag_not_found": "must have a field `kind`",
    "datetime_parsing": "must be a time such as 2026-11-23T12:00:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-23T12:00:00Z",
    "timezone_aware": "must be a time with its zone, such as 2026-11-23T12:00:00Z",
}


def _problem(problem: ErrorDict) -> str:
    kind, given = str(problem["type"]), problem.get("ctx", {})
    path = [str(part) for part in problem["loc"] if part not in _PLACES]
    if kind == "extra_forbidden":  # its name is what was sent, too
        path = path[:-1]
    place = ".".join(path) or ("the body" if "body" in problem["loc"] or not problem["loc"] else "the request")
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{place} {words.format(given.get(name))}"
    if isinstance(given.get("error"), FieldProblem):
        return f"{place}: {given['error']}"
    return f"{place} {_TYPES.get(kind, 'cannot be used as it is')}"
