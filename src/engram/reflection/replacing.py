"""Replacing: whether of two statements that answer a question the later one says what holds now.

Owns a small network over numbers of a pair: how near both are to the question and to each other, what they say and of
whom, whether they state different values of one type, and how they are ranked. `tools/replacing.py` fits it on invented
lives in which the later statement is right, and on others in which the earlier one is. It orders hits; it closes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from engram.meaning.network import Floats, Network
from engram.reflection.labels import EFFECTS, Asked
from engram.reflection.values import Values, differ

TELLS, ENDS = EFFECTS.index("tells"), EFFECTS.index("ends")
RESTATED = 0.7
"""Cosine from which two statements without different values of one type say the same: neither replaces the other."""
OWN, OF_OTHERS = 0.5, 0.1
"""Probability of being about its writer from which a statement is about them, and under which it is about others."""
LEAST = 1e-3
"""Least probability of which the log odds are taken."""
OUTLIER = 4.0
"""Deviations from the mean at which a number of a pair is cut."""


class Said(NamedTuple):
    """A turn that may answer a question: where it is ranked, and what its sentence nearest to the question says."""

    seq: int
    session: str
    at: float
    """When it was said, in days since 1970."""
    rank: int
    """From 0."""
    score: float
    """What it is ranked by."""
    near: float
    """Cosine of the sentence and the question."""
    vector: Floats
    """Of the sentence: shape (dimensions,). The product of two is their cosine."""
    slots: Floats
    """Probability of each of `slots.SLOTS`: shape (slots,)."""
    effects: Floats
    """Probability of each of `labels.EFFECTS`: shape (effects,)."""
    own: float
    """Probability that it is about its writer."""
    lasting: float
    """Probability that it is of a kind that lasts."""
    length: int
    """Characters of the sentence."""
    values: Values
    """The numbers that it states."""

    def told_before(self, other: Said) -> bool:
        """Return whether this turn was said before another one."""
        return (self.at, self.seq) < (other.at, other.seq)


def log_odds(probability: float) -> float:
    """Return the logarithm of the odds, -7 to 7."""
    p = min(max(probability, LEAST), 1 - LEAST)
    return math.log(p / (1 - p))


def numbers_of_pair(asked: Asked, older: Said, newer: Said) -> list[float]:
    """Return what the network reads of a pair. asked: of the question, with n = 1."""
    slots = asked.slots[0]
    slot = int(slots.argmax())
    of_slot = float(slots[slot]) if slot else 0.0
    alike = float(older.vector @ newer.vector)
    another = float(differ(older.values, newer.values))
    nearer = newer.near - older.near
    older_fits, newer_fits = float(slots[1:] @ older.slots[1:]), float(slots[1:] @ newer.slots[1:])
    return [
        older.near, newer.near, nearer, alike, min(alike, older.near, newer.near),
        newer.score - older.score, newer.score / max(older.score, 0.05), older.rank, newer.rank,
        log_odds(older.effects[TELLS]), log_odds(newer.effects[TELLS]), log_odds(newer.effects[ENDS]),
        older_fits, newer_fits, float(older.slots[1:] @ newer.slots[1:]),
        float(slots[0]), of_slot, of_slot * alike, of_slot * nearer,
        log_odds(older.own), log_odds(newer.own), abs(older.own - newer.own), log_odds(float(asked.own[0])),
        log_odds(older.lasting), log_odds(newer.lasting), another, another * alike,
        float(older.session == newer.session), math.log1p(max(0.0, newer.at - older.at)),
        math.log1p(older.length), math.log1p(newer.length),
    ]  # fmt: skip


class Replaces(NamedTuple):
    """The network, and how its inputs are scaled."""

    mean: Floats
    deviation: Floats
    network: Network

    def probabilities(self, asked: Asked, pairs: Sequence[tuple[Said, Said]]) -> Floats:
        """Return for each pair of an older and a newer turn the probability that the newer one is right: shape (n,)."""
        if not pairs:
            return np.zeros(0, np.float32)
        odds = self.odds(np.array([numbers_of_pair(asked, *pair) for pair in pairs], np.float32))
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def odds(self, numbers: Floats) -> Floats:
        """Return the log odds that the newer turn is right, by the numbers of n pairs: shape (n,)."""
        scaled = np.clip((numbers - self.mean) / self.deviation, -OUTLIER, OUTLIER)
        return np.asarray(self.network.outputs(scaled)[:, 0], np.float32)


@cache
def replaces() -> Replaces:
    """Return the network of the package."""
    with np.load(str(files("engram.reflection") / "data" / "replacing.npz")) as arrays:
        parts = (arrays[name].astype(np.float32) for name in Network._fields)
        return Replaces(arrays["mean"], arrays["deviation"], Network(*parts))


def can_replace(older: Said, newer: Said) -> bool:
    """Return whether a turn may replace another: not if it was said before it, of somebody else, or says the same."""
    if not older.told_before(newer) or (older.own >= OWN and newer.own < OF_OTHERS):
        return False
    return float(older.vector @ newer.vector) < RESTATED or differ(older.values, newer.values)


def order_of(asked: Asked, said: Sequence[Said], least: float, network: Replaces | None = None) -> list[int]:
    """Return the order of some turns, given by their ranks, in which what replaces another comes directly before it.

    said: in the order of their ranks, without turns that state nothing. least: probability from which a newer turn
    counts as one that replaces an older one. Returns indices of `said`.
    """
    pairs = [(a, b) for b in range(len(said)) for a in range(b) if can_replace(said[a], said[b])]
    sure = (network or replaces()).probabilities(asked, [(said[a], said[b]) for a, b in pairs])
    replaced = {pair for pair, p in zip(pairs, sure.tolist(), strict=True) if p >= least}
    order = list(range(len(said)))
    for b in range(len(said)):
        first = next((a for a in range(b) if (a, b) in replaced), None)
        if first is not None:
            order.remove(b)
            order.insert(order.index(first), b)
    return order
