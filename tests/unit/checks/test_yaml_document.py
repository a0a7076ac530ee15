"""A YAML text is read as it was written, knows the line of each value, and reports everything that is wrong."""

import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from checks.errors import DocumentError
from checks.yaml_document import Document, parse, read

CANARY = "5f0c81d2e4a94b6c-canary"


def document(text: str) -> Document:
    return parse(text.encode(), "file.yaml")


def refusal(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "file.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),  # a boolean in YAML 1.1
        ("off", "off"),  # likewise, and a setting of ours
        ("true", "true"),
        ("007", "007"),  # an octal number in YAML 1.1
        ("0x1F", "0x1F"),
        ("1.10", "1.10"),  # a float would lose its zero
        ("12:30:45", "12:30:45"),  # a number to base 60 in YAML 1.1
        ("1_000", "1_000"),
        ("2026-05-02", "2026-05-02"),  # a date
        ("4242", "4242"),
        (".inf", ".inf"),
        ("=", "="),
        ("Null", "Null"),  # somebody's name
        ("'~'", "~"),  # quoted
        ('"null"', "null"),
        ("''", ""),
        ("~", None),
        ("null", None),
        ("", None),
        ("|\n  two\n  lines", "two\nlines\n"),
        ("application’s", "application’s"),
        ("[a, ~, {b: c}]", ["a", None, {"b": "c"}]),
        ("[]", []),
        ("{}", {}),
    ],
)
def test_a_value_is_the_text_that_was_written(written: str, value: object) -> None:
    """YAML does not guess types; only an empty value and an unquoted null are None."""
    assert document(f"field: {written}\n").data == {"field": value}


def test_field_names_are_text_too() -> None:
    """A name is never a boolean, a number, None or a merge."""
    assert list(document("no: 1\n12: 2\n~: 3\n<<: {a: b}\n").data) == ["no", "12", "~", "<<"]


TEXTS = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), max_size=12)
DATA = st.recursive(
    TEXTS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in [(*path, key), *paths(item, (*path, key))]]


@given(st.dictionaries(TEXTS, DATA, min_size=1, max_size=4))
def test_data_and_lines_come_back(data: dict[str, Any]) -> None:
    """Any lists and mappings of text are read as they were written, and each field is on the line of its name."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    found = document(text)

    assert found.data == data
    lines = text.split("\n")
    for path in paths(data):
        line = lines[found.line_of(path) - 1].strip()
        assert not isinstance(path[-1], str) or line.startswith(json.dumps(path[-1], ensure_ascii=False) + ":")


@given(st.dictionaries(TEXTS, DATA, min_size=1, max_size=4))
def test_json_is_read_as_json_means_it(data: dict[str, Any]) -> None:
    """In ASCII, JSON writes a character beyond U+FFFF as two halves, which YAML by itself refuses."""
    for indent in (None, 1, "\t"):
        assert document(json.dumps(data, indent=indent)).data == data


def test_pairs_are_joined_in_double_quotes_only() -> None:
    r"""Elsewhere, and behind a backslash that is escaped itself, `\ud83d\ude00` is just that text."""
    text = r"""
    - "\ud83d\ude00, \\\uD83D\uDE00, \u00e9"
    - "\\ud83d\\ude00"
    - '\ud83d\ude00 "\ud83d\ude00"'
    - it's "\ud83d\ude00"
    - "\ud83d\ude00\
       \ud83d\ude00"
    """
    literal = r"\ud83d\ude00"
    values = ["\U0001f600, \\\U0001f600, é", literal, f'{literal} "{literal}"', f'it\'s "{literal}"', "\U0001f600" * 2]
    assert document(f"list:{text}").data == {"list": values}


@pytest.mark.parametrize(
    "half", [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\ud83d\u0041", r"\uD83D \uDE00", r"\ud83d\ud83d\ude00"]
)
def test_half_an_escape_is_named_with_its_line(half: str) -> None:
    """It is no character; what is beside it is not shown."""
    assert refusal(f'{{"a": "\\ud83d\\ude00",\n"b": "{CANARY}\n{half}"\n}}') == (
        r"file.yaml:3: holds half of an escape (`\ud83d` without its `\ude00`); write the character itself"
    )


PLACES = """\
# a comment
tenants:
  - id: acme
    csm: {name: Dana,
          email: dana@vendor.example}
  -
    id: globex
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("tenants",), 2),
        (("tenants", 0), 3),
        (("tenants", 0, "csm"), 4),
        (("tenants", 0, "csm", "email"), 5),
        (("tenants", 1, "id"), 7),
        (("tenants", 1, "label"), 7),  # absent: the line of what should contain it
        (("nothing", "at", "all"), 2),
    ],
)
def test_a_path_has_a_line(path: tuple[str | int, ...], line: int) -> None:
    """A field is on the line of its name, an item where it begins, and what is absent where it belongs."""
    assert document(PLACES).line_of(path) == line


def test_a_part_keeps_its_lines() -> None:
    """A part of a document has its own data, and the lines and paths of the whole."""
    part = document(PLACES).part("tenants", 0)

    assert part.data["id"] == "acme"
    assert part.line_of(("csm", "email")) == 5
    assert str(part.problem(("csm", "email"), "is odd; mend it")) == (
        "file.yaml:5: tenants[0].csm.email: is odd; mend it"
    )
    with pytest.raises(DocumentError, match=r"file.yaml:3: tenants\[0\].id: must be a mapping"):
        document(PLACES).part("tenants", 0, "id")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file.yaml:1: is empty; write"),
        ("# only a comment\n", "file.yaml:1: is empty; write"),
        ("---\n", "file.yaml:1: is empty; write"),
        ("\n\n- a\n", "file.yaml:3: must be a mapping; write"),
        ("just a text", "file.yaml:1: must be a mapping; write"),
        ("key:glued", "file.yaml:1: must be a mapping; write"),  # the blank after the colon is missing
        (b"a: 1\nb: \xff\n", "file.yaml:2: is not UTF-8; save"),
        ("a: 1\n".encode("utf-16"), "file.yaml:1: is not UTF-8; save"),
        ("a: ä\nb: \x07\n", "file.yaml:2: holds the control character U+0007; remove it"),
        ("a:\n\tb: 1\n", "file.yaml:2: is not YAML: found character that cannot start any token; correct"),
        ("a: b: c\n", "file.yaml:1: is not YAML: mapping values are not allowed in this context; correct"),
        ("a: 'begun\n\nb: 1\n", "file.yaml:4: is not YAML: found unexpected end of stream (in what begins on line 1)"),
        ("a: [1,\n", "file.yaml:2: is not YAML: did not find expected node content; correct"),
        ("a: 1\n---\nb: 2\n", "file.yaml:2: a second document begins here (`---`); keep one"),
        ("a: &x 1\n", "file.yaml:1: a: an anchor (`&`) is not supported; write"),
        ("a: {b: &x [1]}\n", "file.yaml:1: a.b: an anchor (`&`) is not supported; write"),
        ("a:\n  - *x\n", "file.yaml:2: a[0]: an alias (`*`) is not supported; write"),
        ("a: !!python/object/apply:os.system [id]\n", "file.yaml:1: a: a tag (`!`) is not supported; write"),
        ("? [a, b]\n: 1\n", "file.yaml:1: a list or mapping is where a field's name belongs; write"),
    ],
)
def test_an_unreadable_document_is_refused_by_line(text: str | bytes, message: str) -> None:
    """For a text that is not one mapping the error says where, why, and what to do."""
    assert refusal(text).startswith(message)


def test_a_byte_order_mark_is_no_mistake() -> None:
    """A file that an editor on Windows saved as UTF-8 is read like any other."""
    assert document("\ufeffa: 1\n").data == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n", "file.yaml:1: a: an anchor"),
        ("a: " + "[" * 200_000, "is nested deeper than 20 levels"),  # crashes Python if a loader recurses
        ("a: " + "{b: " * 200_000, "is nested deeper than 20 levels"),
    ],
)
def test_a_yaml_bomb_is_refused(text: str, message: str) -> None:
    """Aliases and deep nesting are refused where they begin, whatever follows."""
    assert message in refusal(text)


def test_a_repeated_field_is_reported_with_both_lines() -> None:
    """Every field that occurs twice in one mapping is reported, and the first one is kept."""
    found = document("a: 1\nb:\n  c: 1\n  c: {d: 2}\na: 3\n")

    assert found.data == {"a": "1", "b": {"c": "1"}}
    assert list(map(str, found.duplicates)) == [
        "file.yaml:4: b.c: occurs twice in the same mapping, first on line 3; keep one of them",
        "file.yaml:5: a: occurs twice in the same mapping, first on line 1; keep one of them",
    ]


class Contact(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    email: str


class Key(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    kind: Literal["key"]
    label: str


class Pair(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    kind: Literal["pair"]
    id: str


class Tenant(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=9)]
    csm: Contact | None = None
    mode: Literal["off", "safe"] = "off"
    credential: Annotated[Key | Pair, Field(discriminator="kind")] | None = None
    features: Annotated[list[str], Field(min_length=1)] = ["x"]
    words: dict[Annotated[str, Field(max_length=3)], str] = {}
    since: Annotated[date, Field(strict=False)] = date(2026, 1, 1)
    organization: Annotated[int, Field(strict=False)] = 0

    @field_validator("id")
    @classmethod
    def _no_blank(cls, id_: str) -> str:
        if " " in id_:
            raise ValueError("holds a blank; take it out")
        return id_


def test_a_document_becomes_a_model() -> None:
    """Data that fits becomes the model, with dates and numbers read from text where the schema asks for them."""
    found = document("id: 007\nsince: 2026-05-02\norganization: 4242\nmode: off\ncsm:\n").fit(Tenant)

    assert (found.id, found.since, found.organization, found.mode) == ("007", date(2026, 5, 2), 4242, "off")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mode: off", "file.yaml:1: id: is missing; add it"),
        ("id: a\n\nmoed: off", "file.yaml:3: moed: is no field that belongs here; correct its spelling or remove it"),
        ("id:", "file.yaml:1: id: is empty, and must be a text; write one value"),
        ("id: ''", "file.yaml:1: id: must not be empty; write at least 1 character"),
        ("id: 0123456789", "file.yaml:1: id: is longer than 9 characters; shorten it"),
        ("id: [a]", "file.yaml:1: id: must be a text; write one value"),
        ("id: a b", "file.yaml:1: id: holds a blank; take it out"),  # the model's own words
        ("id: a\nmode: yes", "file.yaml:2: mode: must be 'off' or 'safe'; write one of these"),
        ("id: a\nfeatures: x", "file.yaml:2: features: must be a list; write its items as `- item`"),
        ("id: a\nfeatures: []", "file.yaml:2: features: must hold 1 or more; add what is missing"),
        ("id: a\nfeatures:\n  - x\n  - {}", "file.yaml:4: features[1]: must be a text; write one value"),
        ("id: a\nwords: x", "file.yaml:2: words: must be a mapping; write its fields as `name: value`"),
        ("id: a\nwords:\n  long: x", "file.yaml:3: words.long: is longer than 3 characters; shorten it"),
        ("id: a\ncsm:\n  mail: x", "file.yaml:2: csm.email: is missing; add it"),
        ("id: a\ncsm: x", "file.yaml:2: csm: must be a mapping; write its fields as `name: value`"),
        ("id: a\ncredential:\n  kind: key", "file.yaml:2: credential.label: is missing; add it"),
        ("id: a\ncredential:\n  kind: key\n  label:", "file.yaml:4: credential.label: is empty, and must be a text"),
        ("id: a\ncredential: {kind: x}", "file.yaml:2: credential: must have 'kind' 'key', 'pair'; write one of these"),
        ("id: a\ncredential: {label: x}", "file.yaml:2: credential: must have 'kind'; add it"),
        ("id: a\nsince: soon", "file.yaml:2: since: should be a valid date or datetime; correct it"),
        ("id: a\norganization: x", "file.yaml:2: organization: should be a valid integer"),
    ],
)
def test_what_does_not_fit_is_reported_in_words(text: str, message: str) -> None:
    """The error names file, line and field, says what is wrong and what to do."""
    with pytest.raises(DocumentError) as caught:
        document(text).fit(Tenant)
    assert message in str(caught.value)


def test_all_mistakes_are_reported_at_once_in_the_order_of_lines() -> None:
    """Those that the reader, the schema and the caller find are in one error, one sentence each, by line."""
    found = document("csm: {email: }\nid: a\nmoed: x\nid: b\n")

    with pytest.raises(DocumentError) as caught:
        found.fit(Tenant, also=[found.problem(("id",), "is taken; choose another")])

    assert caught.value.problems == (
        "file.yaml:1: csm.email: is empty, and must be a text; write one value",
        "file.yaml:2: id: is taken; choose another",
        "file.yaml:3: moed: is no field that belongs here; correct its spelling or remove it",
        "file.yaml:4: id: occurs twice in the same mapping, first on line 2; keep one of them",
    )
    assert str(caught.value) == "\n".join(caught.value.problems)


def test_a_mistake_in_one_part_leaves_the_others_usable() -> None:
    """Each item of a list reports only its own mistakes."""
    found = document("tenants:\n  - {id: a, id: b}\n  - {id: c}\n  - {id: []}\n")

    assert found.part("tenants", 1).fit(Tenant).id == "c"
    for index, message in ((0, "tenants[0].id: occurs twice"), (2, "tenants[2].id: must be a text")):
        with pytest.raises(DocumentError) as caught:
            found.part("tenants", index).fit(Tenant)
        assert len(caught.value.problems) == 1
        assert message in str(caught.value)


SECRET_PLACES = [
    f"id: [{CANARY}]",
    f"id: {CANARY}",  # too long
    f"id: a\nmode: {CANARY}",
    f"id: a\nsince: {CANARY}",
    f"id: a\norganization: {CANARY}",
    f"id: a\ncsm: {CANARY}",
    f"id: a\ncredential: {{kind: {CANARY}, label: x}}",
    f"id: a\ncredential: {{kind:{CANARY}}}",  # without the blank the whole is a field's name
    f"id: a\n{CANARY}: x",
    f"id: a\nid: {CANARY}",
    f"id: a\nmode: *{CANARY}",
    f"id: a\nmode: &{CANARY} x",
    f"id: a\nmode: !{CANARY} x",
    f"id: a\nmode: !{CANARY}!x y",
    f"id: '{CANARY}",
    f"id: {CANARY}\x07",
    f"{CANARY}",
]


@pytest.mark.parametrize("text", SECRET_PLACES)
def test_a_value_is_never_echoed(text: str) -> None:
    """Wherever a secret was pasted, no message, repr or chained error contains it."""
    with pytest.raises(DocumentError) as caught:
        document(text).fit(Tenant)

    error = caught.value
    assert CANARY not in f"{error} {error!r} {error.problems} {error.__cause__!r} {error.__context__!r}"


def test_a_name_that_could_be_a_key_is_withheld() -> None:
    """A key pasted where a field's name belongs is reported by its line only; a short name is shown."""
    with pytest.raises(DocumentError) as caught:
        document("id: a\ncsm: {a7183e1b7e9ab09b8a5cfa87d1934c3c}\nmoed: x\n").fit(Tenant)

    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "csm.(name withheld)",
        "csm.email",
        "moed",
    ]


def test_a_document_does_not_print_its_data() -> None:
    """A document that ends up in a log or a traceback shows none of its values."""
    assert CANARY not in repr(document(f"id: {CANARY}"))


def test_the_rules_are_the_same_without_the_c_loader() -> None:
    """If PyYAML has no C part, values, lines and errors are the same and still quote nothing."""
    script = f"""
import sys
sys.modules["yaml._yaml"] = None
import yaml
assert not yaml.__with_libyaml__
from checks.yaml_document import parse
from checks.errors import DocumentError
found = parse(b"a: off\\nb:\\n  - 007\\n  -\\n", "file.yaml")
assert found.data == {{"a": "off", "b": ["007", None]}} and found.line_of(("b", 1)) == 4
for text in ("a: !{CANARY}!x y", "a: *{CANARY}", "a: '{CANARY}", "a: @{CANARY}", "a: \\x07", "a: " + "[" * 30):
    try:
        parse(text.encode(), "file.yaml")
    except DocumentError as error:
        print(error)
    else:
        raise SystemExit(text)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("file.yaml:1: ") == 6
    assert CANARY not in done.stdout


def test_a_file_is_read(tmp_path: Path) -> None:
    """Errors name a file by its path as it was given, also if it is missing or no file."""
    path = tmp_path / "tenants.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(DocumentError, match=r"tenants\.yaml:2: is not YAML"):
        read(path)
    with pytest.raises(DocumentError, match=r"absent\.yaml: cannot be read \(No such file or directory\); check"):
        read(tmp_path / "absent.yaml")
    with pytest.raises(DocumentError, match=r"cannot be read \(Is a directory\); check"):
        read(tmp_path)


def test_ten_thousand_tenants_are_read_quickly() -> None:
    """The time grows linearly with the file: 10,000 rows take about a second, three at most."""
    row = "  - {id: t%d, csm: {email: dana@vendor.example}, mode: safe, features: [x], organization: 4242}\n"
    raw = ("tenants:\n" + "".join(row % index for index in range(10_000))).encode()

    begun = time.process_time()
    found = parse(raw, "file.yaml")
    tenants = [found.part("tenants", index).fit(Tenant) for index in range(10_000)]

    assert time.process_time() - begun < 3
    assert tenants[9_999].id == "t9999"
