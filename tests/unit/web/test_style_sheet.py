"""The style sheet and the templates fit to each other, and the pages keep to the Content-Security-Policy."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from monitor.reporting.timeline import SpanKind
from monitor.web.templating import MARKS
from tests.paths import ROOT

FOLDER = ROOT / "templates" / "web"
SHEET = (FOLDER / "pages.css").read_text("utf-8")
TEMPLATES = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.html"))}
MOST_LINES = {"pages.css": 240, "pages.js": 150}

TONES = ("calm", "warn", "bad")
EXPRESSIONS = {
    "said.tone": TONES,
    "found.tone": TONES,
    "detail.tone": TONES,
    "tone": TONES,
    "word": tuple(MARKS),
    "cell.word": tuple(MARKS),
    "shape.kind": ("checks", "tick", "incident", "envelope", *(f"band-{kind}" for kind in SpanKind), "lines"),
}
"""What the expressions within `class="…"` can give; the words of a literal in one count as they are."""

_CLASS = re.compile(r'\bclass="((?:[^"{]|\{\{.*?\}\}|\{%.*?%\})*)"', re.S)
_CODE = re.compile(r"\{\{(.*?)\}\}|\{%.*?%\}", re.S)


def defined() -> set[str]:
    """Every class in a selector of the sheet."""
    selectors = re.sub(r"\{[^{}]*\}", "{}", re.sub(r"/\*.*?\*/", "", SHEET, flags=re.S))
    return set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors))


def used(template: str) -> set[str]:
    found: set[str] = set()
    for value in _CLASS.findall(template):
        found.update(_CODE.sub(" ", value).split())
        for expression in _CODE.findall(value):
            found.update(_given(expression.strip()))
    return found


def _given(expression: str) -> Iterable[str]:
    if expression in EXPRESSIONS or not expression:
        return EXPRESSIONS.get(expression, ())
    words = re.sub(r" (if|in) .*?(?= else |$)", " ", expression)
    literals = " ".join(re.findall(r'"([^"]*)"', words)).split()
    assert literals, f"{expression}: say in EXPRESSIONS what it can give"
    return literals


def test_every_class_of_the_templates_is_in_the_sheet(subtests: pytest.Subtests) -> None:
    """A class that no rule knows is a spelling mistake, or a look that got lost."""
    for name, template in TEMPLATES.items():
        with subtests.test(template=name):
            assert used(template) - defined() - set(MARKS) == set()


def test_every_class_of_the_sheet_is_used() -> None:
    """By a page that people use: /style shows all of them, so it counts for none."""
    by_pages = set().union(*(used(text) for name, text in TEMPLATES.items() if name != "style.html"))
    assert defined() - by_pages == set()


def test_no_template_needs_more_than_the_policy_allows(subtests: pytest.Subtests) -> None:
    """No style and no script within a page, and no attribute that holds script."""
    for name, template in TEMPLATES.items():
        with subtests.test(template=name):
            markup = re.sub(r"\{%.*?%\}", "", template, flags=re.S)
            assert re.findall(r"<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:", markup, re.I) == []
            assert re.findall(r"<script(?![^>]*\ssrc=)", markup, re.I) == []


def test_sheet_and_script_stay_small(subtests: pytest.Subtests) -> None:
    """One sheet of at most 240 lines, one script of at most 150."""
    for name, most in MOST_LINES.items():
        with subtests.test(file=name):
            assert len(Path(FOLDER / name).read_text("utf-8").splitlines()) <= most
