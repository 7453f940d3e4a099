"""Confidence: a score from 0 to 1 that means the same for short and long queries, small and large memories.

Owns the calibration and the floor under recall. The measure is the share of the query's information that a hit and the
turns beside it cover. A word that the memory does not hold at all counts in full as not covered, which is why how much
a word counts leans on how rare it is in plain language. Down the ranking it never rises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engram.index import Ints
from engram.recall.cue import Cue
from engram.recall.pool import Floats
from engram.recall.score import Scores, Weight
from engram.recall.weights import DEFAULT, Weights

FLOOR = 0.03
"""Where the best hit is under this, nothing is given back: it covers about a sixth of the query's information."""


HEAD = 64
"""Places of the ranking whose coverage is looked at; further down the score only goes on falling."""


def confidence(cue: Cue, weight: Weight, scores: Scores, weights: Weights = DEFAULT) -> Floats:
    """Each turn's score from 0 to 1: shape (n,); `weight` as from `token_weights`."""
    order = np.argsort(-scores.total, kind="stable")
    head = order[:HEAD]
    sure = 1 / (1 + np.exp(weights.offset - weights.slope * coverage(cue, weight, scores, head, weights)))
    # What its session says all turns of a session have: it tells none of them from the others.
    alone = scores.total - scores.parts["session"]
    behind = np.clip(alone / max(float(alone[order[0]]), 1e-6), 0, 1)
    behind[order[0]] = 1
    result = np.asarray(behind * sure[0], np.float32)
    result[head] = np.minimum(result[head], sure)
    result[order] = np.minimum.accumulate(result[order])
    return result


def coverage(
    cue: Cue, weight: Weight, scores: Scores, places: Ints, weights: Weights = DEFAULT
) -> npt.NDArray[np.float64]:
    """The share of the cue's information that the turns at `places`, and those beside them, hold: 0 to 1.

    A name is covered where it names a speaker of the namespace, a time as far as the turn was said near to it.
    """
    # However long a turn is, a word that stands in it is there.
    held = np.maximum(np.minimum(scores.matched, 1), np.float32(weights.held) * (scores.counts > 0))
    covered = held[:, places]
    beside = scores.beside
    for own, *steps in (
        (beside.after_own, beside.previous, beside.previous_but_one),
        (beside.before_own, beside.next, beside.next_but_one),
    ):
        worth = (weights.beside * np.where(own[places], weights.monologue, 1)).astype(np.float32)
        for step in steps:
            there = step[places]
            np.maximum(covered, held[:, there] * np.where(there >= 0, worth, np.float32(0)), out=covered)
    covered[cue.names] = 1
    # A time that is meant is a part of the query like its words.
    time = weights.time_mass if cue.periods else 0.0
    return np.asarray(
        (np.einsum("q,qn->n", weight, covered) + time * scores.when[places]) / max(float(weight.sum()) + time, 1e-6)
    )
