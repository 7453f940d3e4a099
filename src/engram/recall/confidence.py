"""Confidence: a score from 0 to 1 that means the same for short and long queries, small and large memories.

Owns the calibration and the floor under recall. The measure is the share of the query's information that a hit and the
turns beside it cover. A word that the memory does not hold at all counts in full as not covered, which is why how much
a word counts leans on how rare it is in plain language. Down the ranking it never rises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engram.recall.cue import Cue
from engram.recall.pool import Floats
from engram.recall.score import Scores, Weight
from engram.recall.weights import DEFAULT, Weights

FLOOR = 0.045
"""Where the best hit is under this, nothing is given back: it covers less than a fifth of the query's information."""


def confidence(cue: Cue, weight: Weight, scores: Scores, weights: Weights = DEFAULT) -> Floats:
    """Each turn's score from 0 to 1: shape (n,); `weight` as from `token_weights`."""
    covered = coverage(cue, weight, scores, weights)
    sure = 1 / (1 + np.exp(weights.offset - weights.slope * covered))
    order = np.argsort(-scores.total, kind="stable")
    first = order[0]
    behind = np.clip(scores.total / max(float(scores.total[first]), 1e-6), 0, 1)
    result = np.empty(len(sure), np.float32)
    result[order] = np.minimum.accumulate(np.minimum(sure, sure[first] * behind)[order])
    return result


def coverage(cue: Cue, weight: Weight, scores: Scores, weights: Weights = DEFAULT) -> npt.NDArray[np.float64]:
    """The share of the cue's information that each turn and those beside it hold, 0 to 1: shape (n,).

    A name is covered where it names a speaker of the namespace, a time as far as the turn was said near to it.
    """
    # However long a turn is, a word that stands in it is there.
    matched = np.maximum(np.minimum(scores.matched, 1), np.float32(weights.held) * (scores.counts > 0))
    covered = matched.copy()
    beside = scores.beside
    sides = (
        (beside.after_own, beside.previous, beside.previous_but_one),
        (beside.before_own, beside.next, beside.next_but_one),
    )
    for own, *steps in sides:
        worth = weights.beside * np.where(own, weights.monologue, 1)
        for places in steps:
            np.maximum(covered, worth * np.where(places >= 0, matched[:, places], 0), out=covered, casting="same_kind")
    covered[cue.names] = 1
    # A time that is meant is a part of the query like its words.
    time = weights.time_mass if cue.periods else 0.0
    return np.asarray((weight @ covered + time * scores.when) / max(float(weight.sum()) + time, 1e-6))
