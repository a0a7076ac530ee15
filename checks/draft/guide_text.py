"""What a vendor's own text asks for: a list of labels, or a whole setup guide as it was copied from a web page."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from checks.catalogue import offered, scopes

_BULLET = re.compile(r"^(?:[-*+•◦▪·‣–—☐☑☒✓✔✅]|\[[ xX]?\]|\(?\d{1,3}[.)])\s*")
_STEP_OF_A_PATH = re.compile(r"\s*(?:→|⇒|›|»|->|>)\s*")
_LABEL = re.compile(r"(?:GET|POST|PATCH|PUT|DELETE)\s*:\s*\S.{0,200}", re.IGNORECASE)
_SCOPE = re.compile(r"\bharvest:[a-z0-9_]+:[a-z0-9_]+")
_WHOLE_GROUP = re.compile(r"all (?:the )?(?:permissions|scopes) (?:for|of|in|under) (?:the )?(.+)", re.IGNORECASE)
_REQUEST = re.compile(r"(GET|POST|PATCH|PUT|DELETE):?\s+(?:https://[\w.]+)?(/v[123]/[^\s?]+)(?:\?\S*)?")
_SEPARATOR = re.compile(r"[,;`\"“”]|\s+(?:and|—|–)\s+")
_QUOTES = ' `"“”'
_NOT_SHOWN = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_INLINE_TAG = re.compile(r"</?(?:a|b|code|em|font|i|small|span|strong|u)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_OPTIONAL = re.compile(r"\s*\(\s*optional\s*\)", re.IGNORECASE)
_NOTE = re.compile(r"\s*\([^()]*\)\s*$|\s+[-–—]\s+.*$")
_LONGEST_HEADING = 60


class Kind(StrEnum):
    LABEL = "label"
    SCOPE = "scope"
    GROUP = "group"
    SCOPE_GROUP = "scope_group"


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that is asked for. `name` is a label, a scope's name or a group; `given` is the text itself.

    `line` is 0 for what was no line of a text, `heading` what it stands under, "" for nothing. `optional` says that it,
    or its heading, is marked so.
    """

    kind: Kind
    name: str
    given: str
    line: int = 0
    heading: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ReadText:
    """`passed_over` are the lines that were taken for prose, with their numbers."""

    asked: tuple[Asked, ...]
    passed_over: tuple[tuple[int, str], ...]


def read(text: str) -> ReadText:
    """All that is recognized as a permission, in the order of the text. Nothing is dropped without being told."""
    asked: list[Asked] = []
    passed_over: list[tuple[int, str]] = []
    heading, optional = "", False
    for number, line in enumerate(_without_tags(text).splitlines(), 1):
        found = [one for cell in re.split(r"[|\t]", line) for one in _in_cell(_bare(cell), number, heading)]
        asked += [_marked(one, optional) for one in found]
        words = _bare(line)
        if found or not re.search(r"\w", words):
            continue
        if not _is_group(_OPTIONAL.sub("", words).rstrip(": ")):
            passed_over.append((number, words))
        if _is_heading(words):
            heading, optional = _OPTIONAL.sub("", words).rstrip(": "), _OPTIONAL.search(words) is not None
    return ReadText(tuple(asked), tuple(passed_over))


def as_label(label: str) -> Asked:
    """What somebody names as a permission is one, whatever it looks like."""
    found = list(_in_cell(_bare(label), 0, ""))
    return found[0] if len(found) == 1 else Asked(Kind.LABEL, _bare(label), _bare(label))


def without_note(label: str) -> Iterator[str]:
    """A label, and then what is left of it without remarks at its end, such as `(only in the US)` or `- to sync`."""
    yield label
    while (shorter := _NOTE.sub("", label)) != label:
        yield shorter
        label = shorter


def _in_cell(cell: str, line: int, heading: str) -> Iterator[Asked]:
    names = _SCOPE.findall(cell)
    if names:
        yield from (Asked(Kind.SCOPE, name, cell, line, heading) for name in dict.fromkeys(names))
        return
    *path, last = _STEP_OF_A_PATH.split(cell)
    under = next((step for step in reversed(path) if _is_group(step)), heading)
    found = _LABEL.fullmatch(last) and (Kind.LABEL, last)
    for kind, name in [found] if found else _in_words(last, under):
        yield Asked(kind, name, cell, line, under)


def _in_words(words: str, under: str) -> Iterator[tuple[Kind, str]]:
    """What is known by the whole of the words, or else what stands in a row of them."""
    if one := _known(words, under):
        yield one
        return
    group, colon, row = words.partition(":")
    is_row = bool(colon) and _is_group(group.strip(_QUOTES))
    pieces = [piece.strip(f" .{_QUOTES}") for piece in _SEPARATOR.split(row if is_row else words)]
    found = [(piece, _known(piece, group.strip(_QUOTES) if is_row else under)) for piece in pieces if piece]
    if any(one for _, one in found):
        yield from (one or (Kind.LABEL, piece) for piece, one in found if one or is_row)


def _known(words: str, under: str) -> tuple[Kind, str] | None:
    if request := _REQUEST.fullmatch(words):
        return _of_request(request[1], request[2])
    if offered.labelled(words):
        return Kind.LABEL, words
    if whole := _WHOLE_GROUP.fullmatch(words):
        return Kind.GROUP, whole[1].rstrip(" .:")
    if _is_group(words):
        return None  # `Custom Field Options` is a heading, and a label without its method
    if scope := _titled(words, under):
        return Kind.SCOPE, scope
    if label := _without_method(words):
        return Kind.LABEL, label
    return None


def _of_request(method: str, path: str) -> tuple[Kind, str]:
    """As it stands in code. What is not found is a label that is not known, so that it is not lost."""
    found = offered.requested(method, path)
    if found is not None:
        return Kind.LABEL, found.label
    lists = {scope.list.partition("?")[0]: scope.name for scope in scopes.known().values() if scope.list}
    if method == "GET" and path in lists:
        return Kind.SCOPE, lists[path]
    return Kind.LABEL, f"{method} {path}"


def _without_tags(text: str) -> str:
    """A saved web page as the text that one reads, each line where it was; any other text as it is."""
    if not re.search(r"</\w+\s*>", text):
        return text
    shown = _NOT_SHOWN.sub(_lines_of, text)
    parted = _TAG.sub(lambda tag: f"\t{_lines_of(tag)}", _INLINE_TAG.sub(_lines_of, shown))
    return "\n".join(" ".join(html.unescape(line).splitlines()) for line in parted.splitlines())


def _lines_of(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _bare(line: str) -> str:
    """Without bullets, and without what is invisible in text that was copied from a web page."""
    visible = "".join(mark for mark in line.replace("\xa0", " ").replace("\t", " ") if mark.isprintable())
    words = " ".join(visible.split())
    while (shorter := _BULLET.sub("", words).strip()) != words:
        words = shorter
    return words


def _marked(asked: Asked, under_optional: bool) -> Asked:
    optional = under_optional or _OPTIONAL.search(asked.given) is not None
    return Asked(asked.kind, _OPTIONAL.sub("", asked.name), asked.given, asked.line, asked.heading, optional)


def _titled(words: str, under: str) -> str | None:
    """A scope by its title on Greenhouse's screen, where that is the whole of the words."""
    found = [one for one in scopes.known().values() if one.title.casefold() == words.casefold()]
    of_group = [one for one in found if one.group.casefold() == under.casefold()]
    return next((one.name for one in of_group or found), None)


def _without_method(words: str) -> str | None:
    """`Retrieve Candidate`, `GET Retrieve Candidate` for `GET: Retrieve Candidate`, where one label only has this."""
    plain = offered.plain(words)
    found = {
        one.label
        for one in offered.offered()
        for label in map(offered.plain, one.labels)
        if plain in (label.partition(": ")[2], label.replace(":", "", 1))
    }
    return found.pop() if len(found) == 1 else None


def _is_group(words: str) -> bool:
    return offered.is_group(words) or scopes.is_group(words)


def _is_heading(words: str) -> bool:
    title = _OPTIONAL.sub("", words).rstrip(": ")
    return _is_group(title) or (len(title) <= _LONGEST_HEADING and not re.search(r"[.!?,;]", title))
