"""README's deployment, as its reader would copy it."""

import re

from tests.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")
DEPLOYMENT = README.split("\n## Deploy in ten minutes\n")[1].split("\n## ")[0]


def block(language: str, begins: str) -> str:
    """The one block of the deployment that begins with this."""
    found = re.findall(rf"^```{language}\n({re.escape(begins)}.*?)^```$", DEPLOYMENT, re.M | re.S)
    assert len(found) == 1, begins
    return str(found[0])
