"""README's walk-through of Harvest v3, typed word for word into a shell, in an empty folder."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import COMMAND, SECONDS, at_port, bare_environment, free_ports, until

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
SECTION = README.split("\n## Customers on Harvest v3\n")[1].split("\n## ")[0]
BLOCK = re.compile(r"^```sh\n(.*?)^```\n\n((?:^    [^\n]*\n)+)", re.M | re.S)
NEXT = "--- the next block ---"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    environment = bare_environment(tmp_path, {"confirm_after": "1s"})
    return environment | {"PATH": f"{COMMAND.parent}:{environment['PATH']}"}


@pytest.fixture
def port(tmp_path: Path, environment: dict[str, str]) -> Iterator[int]:
    """Where the sandbox of the other terminal answers, once it has printed the line that README shows."""
    log = tmp_path / "sandbox.log"
    with free_ports(2) as (port, mail_port), log.open("w") as said:
        command = [str(COMMAND), "sandbox", "--port", str(port), "--mail-port", str(mail_port)]
        sandbox = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        (printed,) = re.findall(r"^ +(acme: .*\(v3\))$", SECTION, re.M)
        try:
            until(lambda: printed in log.read_text("utf-8"))
            yield port
        finally:
            sandbox.kill()
            sandbox.wait(timeout=SECONDS)


def seconds_left_out(text: str) -> list[str]:
    return [re.sub(r" in \d+ s\)$", ")", line.removeprefix("    ")) for line in text.splitlines()]


def test_what_is_typed_prints_what_readme_shows(tmp_path: Path, environment: dict[str, str], port: int) -> None:
    """After each block the last that is printed is what stands below it; who follows README needs nothing else."""
    (folder := tmp_path / "empty").mkdir()
    blocks = BLOCK.findall(SECTION)
    typed = f"echo '{NEXT}'\n".join(block for block, _ in blocks)
    done = subprocess.run(
        ["/bin/bash"],
        input=at_port(typed, port).replace("8765", str(port)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3 * SECONDS,
    )
    printed = done.stdout.split(NEXT)
    assert len(printed) == len(blocks) == 2
    for (_, shown), seen in zip(blocks, printed, strict=True):
        expected = seconds_left_out(shown)
        assert seconds_left_out(seen)[-len(expected) :] == expected
    assert {file.stat().st_mode & 0o077 for file in folder.glob("acme.*")} == {0}
