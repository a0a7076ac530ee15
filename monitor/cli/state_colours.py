"""The colours of words that say how something stands: red is broken, yellow needs a look, green is well."""

from collections.abc import Iterable, Mapping

from rich.text import Text

_WORDS = {
    "red": "failing drifted failed invalid blocked retired misconfigured lost missing credential_failed problem",
    "yellow": "undecided unreachable held found newly_required excess_found suspect note",
    "green": "healthy ok compliant granted sent regained recovered sound live valid",
    "dim": "paused dropped replaced excess_gone",
}
STYLES: Mapping[str, str] = {word: colour for colour, words in _WORDS.items() for word in words.split()}
# Only in these columns of a table is a word such as `found` one that says how something stands.
_COLUMNS = frozenset({"STATUS", "STATE", "KIND", "SEVERITY", "FOUND"})


def cell(column: str, value: str) -> Text:
    """A cell of a table under this heading."""
    return Text(value, STYLES.get(value, "") if column in _COLUMNS else "")


def with_states(text: str, states: Iterable[str]) -> Text:
    """The text, with these words in their colours wherever they stand in it."""
    coloured = Text(text)
    for state in states:
        if state in STYLES:
            coloured.highlight_regex(rf"(?<![\w-]){state}(?![\w-])", STYLES[state])
    return coloured
