"""Runs docs/manifests.md as another vendor's engineer would: from a setup guide to a check under the new manifest."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.manifest import load
from tests.command import COMMAND, SECONDS, bare_environment, free_ports, run_here, until
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "manifests.md").read_text("utf-8")
WALK_THROUGH = PAGE.split("\n## From your list to a manifest\n")[1].split("\n## ")[0]
BLOCK = re.compile(
    r"(?:`([\w.-]+)`:\n\n)?^```(\w+)\n(.*?)^```$(?:\n\n(?:It shows[^\n]*\n\n)?((?:    [^\n]*\n)+))?", re.M | re.S
)
QUICK = {"requests_per_second": 0, "confirm_after": 0}


def without_seconds(text: str) -> list[str]:
    return [re.sub(r" in \d+ s\)$", ")", line.strip()) for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the files that the page has the reader save."""
    for name, _, text, _ in BLOCK.findall(WALK_THROUGH):
        if name:
            (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    """That of the sandbox, which runs in another terminal by the page's own command."""
    (command,) = re.findall(r"^harvest-monitor (sandbox .*)$", WALK_THROUGH, re.M)
    with free_ports(2) as (port, mail_port), (folder / "sandbox.log").open("w+") as log:
        arguments = [str(COMMAND), *command.split(), "--port", str(port), "--mail-port", str(mail_port)]
        process = subprocess.Popen(arguments, cwd=folder, env=bare_environment(folder, {}), stdout=log, stderr=log)
        try:
            until(lambda: "it accepts mails at" in Path(log.name).read_text("utf-8"))
            yield port
        finally:
            process.kill()
            process.wait(timeout=SECONDS)


def run_block(script: str, folder: Path, exported: str) -> str:
    """`manifest` runs in this process, which saves the seconds that each takes to start; the rest in a shell."""
    environment = bare_environment(folder, QUICK)
    environment["PATH"] = f"{COMMAND.parent}:{environment['PATH']}"
    printed = ""
    for line in script.splitlines():
        match shlex.split(line):
            case ["harvest-monitor", "manifest", *arguments]:
                done = run_here(folder, "manifest", *arguments)
            case _:
                shell = ["/bin/bash", "-c", f"{exported}{line}"]
                done = subprocess.run(
                    shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
                )
        assert done.returncode in (0, 1), done.stderr  # 1: the check found drift
        printed += done.stdout + done.stderr
    return printed


def test_each_command_does_what_the_page_says(folder: Path, port: int) -> None:
    """In the page's order; what the page shows is printed, and the manifest is the one described."""
    scripts = [(text, shown) for _, language, text, shown in BLOCK.findall(WALK_THROUGH) if language == "sh"]
    (exported,) = (text for text, _ in scripts if text.startswith("export "))
    for script, shown in scripts:
        if script != exported and "harvest-monitor sandbox" not in script:
            printed = without_seconds(run_block(script, folder, exported.replace("8765", str(port))))
            assert [line for line in without_seconds(shown) if line not in printed] == [], script
    manifest = load(str(folder / "lumen.yaml"))
    assert (manifest.title, manifest.features.keys()) == ("Lumen Scheduling", {"offices"})
    assert manifest.permission("offices.list_offices").endpoint == "GET /v1/offices"
