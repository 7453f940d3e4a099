"""A whole benchmark run: its parts, their order, and the inputs of each.

Owns the names of the parts and the notes on parts that cannot run. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import quality, serving, speed
from bench.datasets import LOCOMO_VARIABLE, Conversation, chats_path, locomo_path, read_chats, read_locomo
from bench.figures import Part, Tell

LOCOMO_MISSING = f"LoCoMo: no path was given; pass --locomo PATH or set {LOCOMO_VARIABLE} (see docs/bench.md)"
CHATS_MISSING = "own chats: this copy of Engram does not carry them"


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
    tell: Tell


def locomo(run: Run) -> Part:
    """Quality on LoCoMo."""
    if run.locomo is None:
        return Part("locomo", notes=[LOCOMO_MISSING])
    return judged(run, "locomo", "LoCoMo", read_locomo(run.locomo))


def chats(run: Run) -> Part:
    """Quality on the chats that the package carries."""
    if run.chats is None:
        return Part("chats", notes=[CHATS_MISSING])
    return judged(run, "chats", "Own chats", read_chats(run.chats))


def judged(run: Run, name: str, title: str, conversations: Sequence[Conversation]) -> Part:
    """Quality on some conversations, in a subfolder called `name`."""
    folder = run.folder / name
    folder.mkdir()
    return quality.measure(name, title, conversations, folder, run.tell)


PARTS: dict[str, Callable[[Run], Part]] = {
    "locomo": locomo,
    "chats": chats,
    "import": lambda run: speed.measure_import(run.plan, run.tell),
    "remember": lambda run: speed.measure_remember(run.plan, run.folder, run.seed, run.tell),
    "recall": lambda run: speed.measure_recall(run.plan, run.folder, run.seed, run.tell),
    "spread": lambda run: speed.measure_spread(run.plan, run.folder, run.seed, run.tell),
    "serve": lambda run: serving.measure(run.serving, run.folder, run.seed, run.tell),
}


def measure(
    plan: speed.Plan,
    served: serving.Plan,
    folder: Path,
    tell: Tell,
    *,
    given: Path | None = None,
    only: Sequence[str] = (),
    seed: int = 0,
) -> list[Part]:
    """The results of the parts in `only`, or of all, in order. `given`: LoCoMo's path.

    Raises `KeyError` for a name in `only` that is no part.
    """
    wanted = {name: PARTS[name] for name in only} if only else PARTS
    run = Run(plan, served, folder, locomo_path(given), chats_path(), seed, tell)
    return [part(run) for name, part in PARTS.items() if name in wanted]
