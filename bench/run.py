"""A whole benchmark run: its parts, their order, and the inputs of each.

Owns the names of the parts and the notes on parts that cannot run. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import quality, serving, speed
from bench.datasets import LOCOMO_VARIABLE, Conversation, chats_path, given_path, read_chats, read_locomo
from bench.figures import Part, Progress

LOCOMO_MISSING = f"LoCoMo: no path was given; pass --locomo PATH or set {LOCOMO_VARIABLE} (see docs/bench.md)"
CHATS_MISSING = "own chats: this copy of Engram does not contain them"


@dataclass(frozen=True, slots=True)
class Run:
    """The inputs of one run."""

    plan: speed.Plan
    serving: serving.Plan
    folder: Path
    """Folder of the databases; each database is deleted after its measurement."""
    locomo: Path | None
    chats: Path | None
    seed: int
    progress: Progress


def locomo(run: Run) -> Part:
    """Quality on LoCoMo."""
    if run.locomo is None:
        return Part("locomo", notes=[LOCOMO_MISSING])
    return measure_quality(run, "locomo", "LoCoMo", read_locomo(run.locomo))


def chats(run: Run) -> Part:
    """Quality on the chats in `bench/data`."""
    if run.chats is None:
        return Part("chats", notes=[CHATS_MISSING])
    return measure_quality(run, "chats", "Own chats", read_chats(run.chats))


def measure_quality(run: Run, name: str, title: str, conversations: Sequence[Conversation]) -> Part:
    """Quality on some conversations, with a database in a subfolder called `name`."""
    folder = run.folder / name
    folder.mkdir()
    return quality.measure(name, title, conversations, folder, run.progress)


PARTS: dict[str, Callable[[Run], Part]] = {
    "locomo": locomo,
    "chats": chats,
    "import": lambda run: speed.measure_import(run.plan, run.progress),
    "remember": lambda run: speed.measure_remember(run.plan, run.folder, run.seed, run.progress),
    "recall": lambda run: speed.measure_recall(run.plan, run.folder, run.seed, run.progress),
    "spread": lambda run: speed.measure_spread(run.plan, run.folder, run.seed, run.progress),
    "serve": lambda run: serving.measure(run.serving, run.folder, run.seed, run.progress),
}


def measure(
    plan: speed.Plan,
    serving_plan: serving.Plan,
    folder: Path,
    progress: Progress,
    *,
    locomo: Path | None = None,
    only: Sequence[str] = (),
    seed: int = 0,
) -> list[Part]:
    """Measure the parts in `only`, or all parts, in the order of `PARTS`. `locomo`: LoCoMo's path.

    Raises `KeyError` if a name in `only` is not that of a part.
    """
    selected = {name: PARTS[name] for name in only} if only else PARTS
    run = Run(plan, serving_plan, folder, given_path(locomo, LOCOMO_VARIABLE), chats_path(), seed, progress)
    return [part(run) for name, part in PARTS.items() if name in selected]
