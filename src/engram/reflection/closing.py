"""Closing: which statements a later one replaces or ends.

Owns the rule. A statement is closed only by a later one that surely fills the same slot of the same person, in a slot
of which a person has one value at a time. Everything else stays side by side. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engram.reflection.database import Stored
from engram.reflection.labels import EFFECTS, LASTING
from engram.reflection.slots import ONE_VALUE

SURE = 0.85
"""Probability of its slot from which a statement closes another, or can be closed."""
OWN = 0.7
"""Probability from which a statement counts as one about its writer."""
TELLS, ENDS = EFFECTS.index("tells"), EFFECTS.index("ends")


class Closing(NamedTuple):
    """An older statement that a newer one has closed: it does not hold since the newer one was said."""

    older: int
    newer: int
    """Their numbers."""
    sure: float
    """The lesser probability of their slots."""


def closings(statements: Sequence[Stored]) -> list[Closing]:
    """Return which of some statements of a namespace are closed by which: each by the next one in its slot.

    statements: in the order in which they were said. Two sentences of one turn do not close each other.
    """
    found = []
    last: dict[tuple[int, int], Stored] = {}
    for each in statements:
        statement = each.statement
        if not counts(each):
            continue
        key = statement.speaker, statement.slot
        before = last.get(key)
        if before is not None and before.statement.seq == statement.seq:
            continue
        if before is not None and before.statement.effect == TELLS:
            found.append(Closing(before.number, each.number, min(before.statement.sure, statement.sure)))
        last[key] = each
    return found


def counts(stored: Stored) -> bool:
    """Return whether a statement closes others and can be closed."""
    s = stored.statement
    return s.slot in ONE_VALUE and s.sure >= SURE and s.own >= OWN and s.kind < LASTING and s.effect in (TELLS, ENDS)
