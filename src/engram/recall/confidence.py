"""Confidence: a score from 0 to 1 that means the same for short and long queries, small and large memories.

Owns the calibration and the floor under recall. The measure is the share of the query's information that a hit and the
turns beside it cover. A word that the memory does not hold at all counts in full as not covered, which is why how much
a word counts leans on how rare it is in plain language. Down the ranking it never rises.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engram.recall.features import Features, Floats, Neighbours, with_none
from engram.recall.query import ParsedQuery
from engram.recall.score import Scores, Weight
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import Ints

FLOOR = 0.03
"""Where the best hit is under this, nothing is given back: it covers about a sixth of the query's information."""


HEAD = 64
"""Places of the ranking whose coverage is looked at; further down the score only goes on falling."""


def confidence(
    cue: ParsedQuery, pool: Features, beside: Neighbours, weight: Weight, scores: Scores, weights: Weights = DEFAULT
) -> Floats:
    """Each turn's score from 0 to 1: shape (n,); `weight` as from `token_weights`."""
    order = (-scores.total).argsort(kind="stable")
    head = order[:HEAD]
    covered = coverage(cue, pool, beside, weight, scores, head, weights)
    sure = 1 / (1 + np.exp(weights.offset - weights.slope * covered))
    # What its session says all turns of a session have: it tells none of them from the others.
    alone = (scores.total - scores.parts["session"]).take(order)
    behind = np.minimum(np.maximum(alone / max(float(alone[0]), 1e-6), 0), 1)
    behind[0] = 1
    falling = behind * sure[0]
    falling[: len(head)] = np.minimum(falling[: len(head)], sure)
    result = np.empty(len(order), np.float32)
    result[order] = np.minimum.accumulate(falling)
    return result


def coverage(
    cue: ParsedQuery,
    pool: Features,
    beside: Neighbours,
    weight: Weight,
    scores: Scores,
    places: Ints,
    weights: Weights = DEFAULT,
) -> npt.NDArray[np.float64]:
    """The share of the cue's information that the turns at `places`, and those beside them, hold: 0 to 1."""
    # However long a turn is, a word that stands in it is there.
    held = with_none(np.maximum(np.minimum(scores.matched, 1), np.float32(weights.held) * (pool.counts > 0)))
    covered = held.take(places, axis=1)
    own_voice = np.array((weights.beside, weights.beside * weights.monologue), np.float32)
    for own, *steps in (
        (beside.after_own, beside.previous, beside.previous_but_one),
        (beside.before_own, beside.next, beside.next_but_one),
    ):
        worth = own_voice.take(own.take(places))
        for step in steps:
            np.maximum(covered, held.take(step.take(places), axis=1) * worth, out=covered)
    # A name is covered where it names a speaker of the namespace, a time as far as the turn was said near to it.
    covered[cue.names] = 1
    # A time that is meant is a part of the query like its words.
    time = weights.time_mass if cue.periods else 0.0
    return np.asarray(
        (np.einsum("q,qn->n", weight, covered) + time * scores.when.take(places))
        / max(float(weight.sum()) + time, 1e-6)
    )
