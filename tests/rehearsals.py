"""docs/rehearsals.md as its readers use it: the blocks that they type, and one row for each fault."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "rehearsals.md").read_text("utf-8")


@dataclass(frozen=True)
class Rehearsal:
    """One row: what to type and what is visible then, in the page's words."""

    trouble: str
    type: str
    see: str
    end: str

    @property
    def commands(self) -> list[str]:
        return code(self.type)

    @property
    def endings(self) -> list[str]:
        return [command for command in code(self.end) if command.startswith("harvest-monitor ")]

    @property
    def logged(self) -> list[str]:
        """Pieces of the log: an event, or a field with its value."""
        return [piece for piece in code(self.see) if re.match(r"\w+($|=)", piece) and not is_metric(piece)]

    @property
    def metrics(self) -> list[str]:
        return [piece.partition("{")[0].split(" ")[0] for piece in code(self.see) if is_metric(piece)]

    @property
    def mails(self) -> list[str]:
        """Pieces of subjects."""
        return re.findall(r"“([^”]+)”", self.see)


def prose() -> str:
    return re.sub(r"^```.*?^```$", "", PAGE, flags=re.M | re.S)


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def is_metric(piece: str) -> bool:
    return piece.startswith("harvest_monitor_")


def blocks() -> list[str]:
    """The blocks of shell: the first sets up the rehearsal, the second cleans up."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)


def rehearsals() -> dict[str, Rehearsal]:
    """Every row with four cells, by its first cell."""
    rows = [re.split(r" \| ", line.strip("| ")) for line in PAGE.splitlines() if line.startswith("| ")]
    return {row[0]: Rehearsal(*row) for row in rows if len(row) == 4 and row[0] != "trouble"}
