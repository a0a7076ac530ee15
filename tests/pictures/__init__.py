"""README's pictures: a CSM's email on a phone, and the demo's terminal; each for a light and a dark page."""

from tests.paths import ROOT

IMAGES = ROOT / "docs" / "images"
