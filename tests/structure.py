"""Figures of the code's structure: `python -m tests.structure [FOLDER]`, of this project or of another copy of it."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import grimp

from tests.paths import ROOT

PACKAGES = ("checks", "monitor")


def sources(root: Path) -> dict[str, Path]:
    """Every module by its dotted name; migrations are history and left out."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    return {module_of(file, root): file for file in files if "migrations" not in file.parts}


def module_of(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def classes_twice(root: Path) -> list[str]:
    """Names of public classes that are in more than one module."""
    names = Counter(
        node.name
        for file in sources(root).values()
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sorted(name for name, count in names.items() if count > 1)


def files_alike(root: Path) -> list[tuple[str, str]]:
    """Files in one folder whose names differ by one letter."""
    return [
        (module_of(a, root), module_of(b, root))
        for a, b in combinations(sources(root).values(), 2)
        if a.parent == b.parent and differs_by_a_letter(a.stem, b.stem)
    ]


def differs_by_a_letter(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    if len(short) == len(long):
        different = [x + y for x, y in zip(short, long, strict=True) if x != y]
        return len(different) == 1 and not different[0].isdigit()  # v1 and v3 are two versions
    return any(long[:cut] + long[cut + 1 :] == short for cut in range(len(long)))


def arrows(root: Path) -> set[tuple[str, str]]:
    """Which room of `monitor`, or `checks`, imports which."""
    sys.path.insert(0, str(root))
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found = {(room(a), room(b)) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
    return {(a, b) for a, b in found if a != b}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] == "checks" else ".".join(parts[:2])


def circles(edges: set[tuple[str, str]]) -> list[set[str]]:
    """Groups of rooms that all reach each other."""
    nodes = {node for edge in edges for node in edge}
    reached = {node: reach(node, edges) for node in nodes}
    return [
        group
        for node in sorted(nodes)
        if len(group := {other for other in reached[node] if node in reached[other]}) > 1 and node == min(group)
    ]


def reach(start: str, edges: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        for _, target in (edge for edge in edges if edge[0] == node):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def figures(root: Path) -> Iterator[tuple[str, object]]:
    top = [entry for entry in (root / "monitor").iterdir() if not entry.name.startswith("_")]
    yield "files at the top of monitor/", sum(entry.suffix == ".py" for entry in top)
    yield "folders at the top of monitor/", sum(entry.is_dir() for entry in top)
    edges = arrows(root)
    yield "arrows between rooms", len(edges)
    yield "circles between rooms", [" <-> ".join(sorted(group)) for group in circles(edges)] or "none"
    yield "public class names in two modules", ", ".join(classes_twice(root)) or "none"
    yield "file names that differ by a letter", files_alike(root) or "none"
    yield "files", len(sources(root))
    yield "lines", sum(len(file.read_text("utf-8").splitlines()) for file in sources(root).values())
    yield "lines of tests", sum(len(f.read_text("utf-8").splitlines()) for f in (root / "tests").rglob("*.py"))


if __name__ == "__main__":
    for name, figure in figures(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT):
        print(f"{name:36} {figure}")
