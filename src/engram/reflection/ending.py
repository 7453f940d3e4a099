"""Ending: what a profile must not show, because a later statement says that it is over ("I gave up the cello").

Owns when a statement that ends something surely speaks of an earlier one: both share telling words, and are near to
each other. It closes no fact, because slots in which several things stand side by side are told too badly for that: it
is only left out of the view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engram.engram import Engram
from engram.reflection.labels import EFFECTS, LASTING
from engram.reflection.profile import Known
from engram.reflection.withdrawing import NEAR_WITH_WORDS, shared

ENDS = EFFECTS.index("ends")
OWN = 0.3
"""Probability from which an end may be one of the writer's: "the doctor has stopped the tablets" hardly says whose."""


def near_ends(shown: Sequence[Known], statements: Sequence[Known]) -> list[Known]:
    """Return the statements that end something and are near to one that would be shown."""
    ends = [
        each
        for each in statements
        if each.statement.effect == ENDS and each.statement.own >= OWN and each.statement.kind < LASTING
    ]
    if not ends or not shown:
        return []
    near = np.stack([each.vector for each in ends]) @ np.stack([each.vector for each in shown]).T
    return [ends[row] for row in np.flatnonzero(near.max(axis=1) >= NEAR_WITH_WORDS).tolist()]


def going_on(shown: Sequence[Known], ends: Sequence[Known], turns: Mapping[int, Engram]) -> list[Known]:
    """Return those that would be shown and that no later end speaks of. turns: of both, by seq."""

    def text(each: Known) -> str:
        s = each.statement
        return turns[s.seq].text[s.start : s.stop] if s.seq in turns else ""

    def is_over(each: Known) -> bool:
        return any(
            end.statement.at > each.statement.at
            and end.statement.speaker == each.statement.speaker
            and float(end.vector @ each.vector) >= NEAR_WITH_WORDS
            and shared(text(each), text(end))
            for end in ends
        )

    return [each for each in shown if not is_over(each)]
