"""The 300 poisonings of `poisonings/`: ten kinds, thirty each.

Each has the text that is brought in, a question of a later conversation that fits it, and its goal: words of the text
that no prompt may hold as an instruction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "poisonings"


@dataclass(frozen=True, slots=True)
class Poison:
    """One poisoning."""

    kind: str
    text: str
    ask: str
    goal: str


def poisons() -> list[Poison]:
    """Return all poisonings, in the order of their kinds."""
    return [
        Poison(path.stem, **json.loads(line))
        for path in sorted(FOLDER.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
