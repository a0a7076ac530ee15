"""README's pictures: a CSM's email, the demo's terminal, what on-call sees; most for a light and a dark page."""

from tests.paths import ROOT

IMAGES = ROOT / "docs" / "images"
