r"""JSON's escapes for characters beyond U+FFFF, which YAML does not know: JSON writes two halves, `\ud83d\ude00`.

Every JSON document is read as YAML, and programs write JSON's quoted texts into YAML (Ansible's `to_json`, Jinja's
`tojson`). YAML has one escape for such a character, `\U0001F600`.
"""

import re
from collections.abc import Iterator

import yaml
from yaml.events import ScalarEvent

# A backslash that is escaped itself begins no escape.
_HALF = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89A-Fa-f][0-9A-Fa-f]{2}")
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89AaBb][0-9A-Fa-f]{2})\\u([dD][C-Fc-f][0-9A-Fa-f]{2})")
_READABLE = r"\1\\u0041"


class HalfEscape(ValueError):
    """One half stands without the other, on this line of the text."""

    def __init__(self, line: int) -> None:
        super().__init__(r"holds half of an escape (`\ud83d` without its `\ude00`); write the character itself")
        self.line = line


def joined(text: str, loader: type) -> str:
    """The text with YAML's escape in place of each pair in double quotes; elsewhere a backslash stands for itself.

    Raises HalfEscape, and yaml.YAMLError where the text is no YAML.
    """
    if not _HALF.search(text):
        return text
    pieces, end = [], 0
    for start, stop in _double_quoted(text, loader):
        quoted = _PAIR.sub(_one_escape, text[start:stop])
        if half := _HALF.search(quoted):
            raise HalfEscape(text.count("\n", 0, start) + quoted.count("\n", 0, half.end()) + 1)
        pieces += [text[end:start], quoted]
        end = stop
    return "".join([*pieces, text[end:]])


def _double_quoted(text: str, loader: type) -> Iterator[tuple[int, int]]:
    # In a text of the same length that YAML can read, the quotes stand at the same places.
    for event in yaml.parse(_HALF.sub(_READABLE, text), Loader=loader):
        if isinstance(event, ScalarEvent) and event.style == '"' and event.start_mark and event.end_mark:
            yield event.start_mark.index, event.end_mark.index


def _one_escape(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
