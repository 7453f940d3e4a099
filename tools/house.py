"""Measures how much code a developer has to read: `python tools/house.py` prints each figure with its limit.

Owns the counts of modules and lines (of .py files, as `wc -l` counts them). Does not know what the code does.

- *Reach*: the modules that `engram.memory` imports, directly and indirectly, also inside functions. A package's
  `__init__.py` counts if it has more than a docstring. `engram/opening.py` counts, but its imports are not followed:
  they are the implementations that it selects: store, index, analyzer and kernel.
- *Ranking*: the files that a developer must read to change ranking.
- *Rooms of serve*: every folder below `serve/`; the files directly in `serve/` count as one more room.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parent.parent
START = "engram.memory"
NOT_FOLLOWED = frozenset({"engram.opening"})
RANKING = (
    "src/engram/recall/score.py",
    "src/engram/recall/weights.py",
    "src/engram/recall/features.py",
    "src/engram/recall/query.py",
    "tests/recall/test_recall.py",
)
REACH_MODULES, REACH_LINES, RANKING_LINES, ROOM_LINES = 25, 3_500, 800, 1_800
BIGGEST = 8
"""Number of the largest files that are listed."""


def lines(path: Path) -> int:
    """Return the number of newlines in a file."""
    return path.read_bytes().count(b"\n")


def modules(source: Path) -> dict[str, Path]:
    """Return the path of every module below the folder `source`, by its dotted name."""
    paths = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def has_code(path: Path) -> bool:
    """Return whether a module has a statement other than its docstring."""
    body = ast.parse(path.read_bytes()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield the dotted names in a module's import statements, also in those inside functions."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def with_parents(name: str, known: dict[str, Path]) -> Iterator[str]:
    """Yield the known modules that importing the dotted `name` loads: the module, and the packages that contain it."""
    parts = name.split(".")
    yield from (prefix for end in range(len(parts), 0, -1) if (prefix := ".".join(parts[:end])) in known)


def reach(source: Path, start: str = START, not_followed: frozenset[str] = NOT_FOLLOWED) -> dict[str, Path]:
    """Return `start` and the modules that it imports, directly and indirectly, by dotted name."""
    known = modules(source)
    seen: dict[str, Path] = {}
    queue = [start]
    while queue:
        name = queue.pop()
        # The top package imports all public names, so following it would reach every module.
        if name in seen or name == start.partition(".")[0]:
            continue
        seen[name] = known[name]
        if name not in not_followed:
            for mentioned in imported(name, known[name]):
                queue += with_parents(mentioned, known)
    return {name: path for name, path in sorted(seen.items()) if path.name != "__init__.py" or has_code(path)}


def rooms(folder: Path) -> dict[str, int]:
    """Return the lines of each folder directly below `folder`, and of the files directly in it, largest first."""
    counts: dict[str, int] = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        room = f"{folder.name}/{parts[0]}/" if len(parts) > 1 else f"{folder.name}/*.py"
        counts[room] = counts.get(room, 0) + lines(path)
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def report(root: Path) -> str:
    """Return all tables for the repository at `root`."""
    source = root / "src"
    reached = reach(source)
    reached_lines = sum(map(lines, reached.values()))
    ranking = {name: lines(root / name) for name in RANKING}
    serve = rooms(source / "engram" / "serve")
    largest = next(iter(serve))
    rows = [
        row("modules reached from engram.memory", len(reached), REACH_MODULES),
        row("lines of these modules", reached_lines, REACH_LINES),
        row("lines to read to change ranking", sum(ranking.values()), RANKING_LINES),
        row(f"lines of the largest room of serve/, {largest}", serve[largest], ROOM_LINES),
    ]
    biggest = sorted(((lines(path), path) for path in source.rglob("*.py")), reverse=True)[:BIGGEST]
    return "\n".join(
        [
            f"{'measured':<52} {'value':>7} {'limit':>7}",
            *rows,
            *section("reached", {name: lines(path) for name, path in reached.items()}),
            *section("to change ranking", ranking),
            *section("rooms of serve/", serve),
            *section("largest files", {path.relative_to(root).as_posix(): count for count, path in biggest}),
        ]
    )


def row(name: str, value: int, limit: int) -> str:
    """Return one line of the table: the value, its limit, and whether the value is within it."""
    return f"{name:<52} {value:>7,} {limit:>7,}  {'ok' if value <= limit else 'over'}"


def section(title: str, counts: dict[str, int]) -> list[str]:
    """Return the lines of a list of names with their counts, under a title."""
    return ["", title, *(f"  {name:<50} {count:>7,}" for name, count in counts.items())]


if __name__ == "__main__":
    print(report(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
