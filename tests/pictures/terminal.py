"""The demo's terminal up to the repair, as SVG: what the real command prints, in the colours of two themes."""

import io
import os
import pty
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.command import COMMAND, bare_environment
from tests.paths import ROOT
from tests.pictures import IMAGES

ERASE_LINE, ONE_UP = "\x1b[2K", "\x1b[1A"
CURSOR = re.compile(r"\x1b\[\?25[lh]")
# What it is about, the link, the first check, what is lost, what becomes of it; README has no room for more.
ACTS = 5
LINK = re.compile(r"hml_[\w-]+")
ANSI = [(110, 118, 129), (207, 34, 46), (26, 127, 55), (154, 103, 0), (9, 105, 218), (130, 80, 223), (27, 124, 131)]
THEMES = {
    "light": TerminalTheme((246, 248, 250), (31, 35, 40), [*ANSI, (31, 35, 40)]),
    "dark": TerminalTheme((13, 17, 23), (230, 237, 243), [*ANSI, (230, 237, 243)]),
}
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def take() -> None:
    shown = acts(left_on_screen(demo_output()))
    for scheme, theme in THEMES.items():
        (IMAGES / f"demo-{scheme}.svg").write_text(svg(shown, theme), "utf-8")


def demo_output() -> str:
    """All bytes that `make demo ARGS=--once` sends to a terminal."""
    master, slave = pty.openpty()
    with tempfile.TemporaryDirectory() as folder, os.fdopen(master, "rb", buffering=0) as terminal:
        environment = bare_environment(Path(folder), {}) | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        command = [str(COMMAND), "demo", "--once", "--folder", f"{folder}/demo"]
        demo = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
        os.close(slave)
        said = b""
        try:
            while part := terminal.read(65536):
                said += part
        except OSError:  # Linux tells so that the last writer is gone
            pass
        if demo.wait() != 0:
            raise RuntimeError(f"the demo failed:\n{said.decode()}")
    return said.decode()


def left_on_screen(output: str) -> str:
    """The lines that stay: a spinner erases its line for each frame, and goes one line up in the end."""
    lines: list[str] = []
    for line in CURSOR.sub("", output).split("\n"):
        if ONE_UP in line:
            lines.pop()
        lines.append(line.rpartition(ERASE_LINE)[2].rstrip("\r"))
    return "\n".join(lines)


def acts(screen: str) -> str:
    """The secret of the link is left out: it opens nothing any more, but looks like one that does."""
    return LINK.sub("hml_…", "\n\n".join(screen.strip().split("\n\n")[:ACTS]))


def svg(screen: str, theme: TerminalTheme) -> str:
    """Set in a font that the reader has: rich's own template loads one from the web."""
    text = Text.from_ansi(screen)
    console = Console(record=True, width=max(map(len, text.plain.splitlines())), file=io.StringIO())
    console.print(text)
    drawn = console.export_svg(title="make demo", theme=theme)
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.S).replace("Fira Code, monospace", FONTS)
