"""The email that Globex's CSM gets when one permission is lost, under its subject, as wide as a phone."""

import re
import subprocess
import tempfile
from html import escape
from pathlib import Path

from checks.manifest import load
from monitor.drift import EventKind
from monitor.notices.content.credential_news import Coverage
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import Renderer
from monitor.notices.content.vendor import Vendor
from tests.notices import a_cause, composed
from tests.pictures import IMAGES

SOURCE = IMAGES / "email.html"
WIDTH = 390
SCALE = 1.5  # README shows it at a third of its pixels; at 2 a file has more than 200 kB
SCHEMES = {"light": 1, "dark": 0}  # Chromium's numbers for what the reader prefers
HEADER = (
    "<style>body {{ box-sizing:border-box;border:1px solid #8a8a8a }}</style>"
    '<div style="padding:16px 16px 12px;border-bottom:1px solid #8a8a8a;'
    'font-family:Helvetica,Arial,sans-serif;line-height:1.4">'
    '<div style="font-size:19px;font-weight:bold">{subject}</div>'
    '<div style="margin-top:6px;font-size:14px;opacity:.75">From Harvest Monitor to {reader}</div></div>'
)
BODY = re.compile(r"<body[^>]*>")
MEASURE = f"""
<style>html {{ width: {WIDTH}px }}</style>
<script>document.body.dataset.height = document.body.offsetHeight</script>
"""  # Chromium's own window is 500 pixels wide at least, unless it takes a screenshot


def page() -> str:
    """The email's own HTML below a header like that of a mail program."""
    lost = load("gem").permission("GET: List offers")
    cause = a_cause(EventKind.LOST, lost.id, "globex", permission_label=lost.label, csm_name="Lee Chan")
    background = Background(effects={lost.id: lost.effect}, coverage={cause.credential_id: Coverage(63, 1)})
    message = composed(cause, background=background).drafts[0].message
    email = Renderer(vendor=Vendor("Gem", "support@vendor.example")).render(message)
    header = HEADER.format(subject=escape(email.subject), reader="Lee Chan")
    return BODY.sub(lambda body: body[0] + header, email.html)


def take(chromium: str) -> None:
    """The page's source, which a test compares with today's templates, and its two pictures."""
    SOURCE.write_text(page(), "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        measured = _run(chromium, folder, "--dump-dom", of=page() + MEASURE)
        (height,) = re.findall(r'data-height="(\d+)"', measured)
        for scheme, number in SCHEMES.items():
            _run(
                chromium,
                folder,
                f"--window-size={WIDTH},{height}",
                f"--force-device-scale-factor={SCALE}",
                f"--blink-settings=preferredColorScheme={number}",
                f"--screenshot={IMAGES / f'email-{scheme}.png'}",
                of=page(),
            )


def _run(chromium: str, folder: str, *options: str, of: str) -> str:
    """Without a sandbox of its own: the page is ours, and root may have no other."""
    source = Path(folder) / "page.html"
    source.write_text(of, "utf-8")
    quiet = ("--headless", "--no-sandbox", "--hide-scrollbars", "--no-first-run", "--disable-background-networking")
    command = [chromium, *quiet, f"--user-data-dir={folder}/profile", *options, source.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
