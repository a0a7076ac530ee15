"""The colours of the style sheet, and how well they can be told apart: the contrast ratio of WCAG 2. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

GROUNDS = ("paper", "card", "sunk", "bad-tint", "warn-tint")
TEXTS = ("ink", "soft", "link", "bad", "warn")
LINES = ("edge", "quiet")
"""Lines that carry a meaning: borders of controls, and what is drawn. `line` only parts rows."""

_ROOT = re.compile(r":root\s*\{(.*?)\}", re.S)
_COLOR = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{3}(?:[0-9a-f]{3})?);")

Palette = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Palettes:
    light: Palette
    dark: Palette
    print: Palette


def palettes(sheet: str) -> Palettes:
    """The sheet's three blocks of tokens: those for the screen, and what dark screens and paper change."""
    light, dark, on_paper = (dict(_COLOR.findall(block)) for block in _ROOT.findall(sheet))
    return Palettes(light, {**light, **dark}, {**light, **on_paper})


def contrast(one: str, other: str) -> float:
    """From 1 (the same colour) to 21 (black on white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def least_contrast(palette: Palette, token: str) -> float:
    """On the ground on which it is the hardest to see."""
    return min(contrast(palette[token], palette[ground]) for ground in GROUNDS)


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    red, green, blue = (_linear(int(digits[place : place + 2], 16) / 255) for place in (0, 2, 4))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
