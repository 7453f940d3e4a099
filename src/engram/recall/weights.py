"""The weights of recall: every number that ranking depends on, in one place.

`tools/fit.py` fits those that are fitted, on some conversations, and reports on the others (docs/recall.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """How the parts of a score weigh against each other. See `recall.score` for the formula that they stand in."""

    # How much a token counts.
    prior: float = 590.0
    """Engrams' worth of plain language that a namespace's own frequencies are smoothed with."""
    typical_length: float = 20.0
    """Tokens of a usual turn."""
    rarity_shift: float = 0.27
    rarity_power: float = 1.45
    name: float = 0.45
    """Share of its weight that a token keeps which only names a speaker."""
    # How well a turn matches a token.
    saturation: float = 0.22
    """BM25's k1."""
    length: float = 0.37
    """BM25's b."""
    near: float = 0.68
    """The most that a near word is worth of an exact one."""
    least_similarity: float = 0.25
    near_power: float = 0.8
    # What surrounds it.
    total_power: float = 0.9
    next: float = 0.21
    next_but_one: float = 0.1
    previous: float = 0.38
    previous_but_one: float = 0.33
    session: float = 0.4
    speaker: float = 0.18
    question: float = 0.2
    """Taken from a turn that ends in a question."""
    log_length: float = 0.03


DEFAULT = Weights()
