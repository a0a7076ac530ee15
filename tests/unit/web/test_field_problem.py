"""What is wrong with a request, in words that do not repeat it."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from monitor.web.field_problem import FieldProblem, code_of, in_words

CANARY = "c4na4y"


def _never(value: str) -> str:
    raise FieldProblem("own_code", "is not what we want")


def _quoting(value: str) -> str:
    raise ValueError(f"{value} is wrong")


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(1, ge=1, le=9)
    flag: bool = False
    word: Literal["off", "safe"] = "off"
    short: str = Field("a", max_length=3, pattern="^[a-z]*$")
    many: list[int] = Field([], max_length=2)
    at: AwareDatetime | None = None
    own: Annotated[str, AfterValidator(_never)] = ""
    quoting: Annotated[str, AfterValidator(_quoting)] = ""


def problems_of(value: Any) -> list[Any]:
    with pytest.raises(ValidationError) as found:
        TypeAdapter(Sample).validate_python(value)
    return list(found.value.errors())


def test_each_problem_names_its_field_and_no_value(subtests: pytest.Subtests) -> None:
    """Also where pydantic's words, a validator's or the name of a field hold what was sent."""
    cases: dict[str, Any] = {
        "number must be a whole number": {"number": CANARY},
        "number must be 9 or less": {"number": 10},
        "number must be 1 or more": {"number": 0},
        "flag must be true or false": {"flag": CANARY},
        "word must be 'off' or 'safe'": {"word": CANARY},
        "short must have 3 characters or fewer": {"short": CANARY},
        "short must match ^[a-z]*$": {"short": "4"},
        "short must be text": {"short": [CANARY]},
        "many.1 must be a whole number": {"many": [1, CANARY]},
        "many must have 2 entries or fewer": {"many": [1, 2, 3]},
        "many must be a list": {"many": CANARY},
        "at must be a time": {"at": CANARY},
        "own: is not what we want": {"own": CANARY},
        "quoting cannot be used as it is": {"quoting": CANARY},
        "the body has a field that is not known": {CANARY: 1},
        "the body must be an object": [CANARY],
    }
    for words, value in cases.items():
        with subtests.test(words):
            found = in_words([{**problem, "loc": ("body", *problem["loc"])} for problem in problems_of(value)])
            assert found.startswith(words)
            assert CANARY not in found


def test_a_problem_of_ours_has_its_own_code() -> None:
    """The first of several; else it is an invalid request."""
    assert code_of(problems_of({"number": 0, "own": "x"})) == "own_code"
    assert code_of(problems_of({"number": 0})) == "invalid_request"
