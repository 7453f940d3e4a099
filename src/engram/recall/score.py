"""Scores: how well each turn of a pool answers a cue, and which parts its score is made of.

Owns the formula. Pure numpy; the numbers in it are `recall.weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.encode.encoder import QUESTION
from engram.index import Ints
from engram.recall.cue import Cue
from engram.recall.pool import Floats, Pool, shifted
from engram.recall.weights import DEFAULT, Weights


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the cue's tokens are in a namespace."""

    engrams: int
    """How many engrams it holds."""
    frequencies: Ints
    """How many of them hold each token: shape (q,)."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of n turns."""

    total: Floats
    """What turns are ranked by, higher is better: shape (n,)."""
    parts: dict[str, Floats]
    """What the total is the sum of, by name: shape (n,) each."""


def token_weights(cue: Cue, statistics: Statistics, weights: Weights = DEFAULT) -> npt.NDArray[np.float64]:
    """How much each token of the cue counts, by how rare it is here and in plain language: shape (q,)."""
    in_a_turn = 1 - (1 - cue.probabilities) ** weights.typical_length
    expected = statistics.frequencies + weights.prior * in_a_turn + 0.5
    rarity = np.log((statistics.engrams + weights.prior + 1) / expected) - weights.rarity_shift
    return np.maximum(rarity, 0.02) ** weights.rarity_power


def match(pool: Pool, weights: Weights = DEFAULT) -> Floats:
    """How well each turn answers each token, exactly or by a near word, from 0 to about 1.2: shape (q, n)."""
    k1, b = weights.saturation, weights.length
    saturation = k1 * (1 - b + b * pool.turns.lengths / weights.typical_length)
    exact = pool.counts * (1 + k1) / (pool.counts + saturation)
    over = np.maximum(pool.nearness - weights.least_similarity, 0) / (1 - weights.least_similarity)
    near = weights.near * over**weights.near_power * (1 + k1) / (1 + saturation)
    return np.asarray(np.maximum(exact, near), dtype=np.float32)


def best_of_session(matched: Floats, session: Ints) -> Floats:
    """For each token the best match among a session's turns: shape (q, sessions)."""
    order = np.argsort(session, kind="stable")
    starts = np.flatnonzero(np.diff(session[order], prepend=-1))
    return np.asarray(np.maximum.reduceat(matched[:, order], starts, axis=1))


def score(cue: Cue, pool: Pool, statistics: Statistics, weights: Weights = DEFAULT) -> Scores:
    """Rank a pool of at least one turn for a cue."""
    weight = token_weights(cue, statistics, weights)
    counted = (weight * np.where(cue.names, weights.name, 1.0)).astype(np.float32)
    matched = match(pool, weights)
    scale = np.float32(max(float(weight.sum()), 0.1) ** -weights.total_power)
    own = counted @ matched * scale
    session = (counted @ best_of_session(matched, pool.session) * scale)[pool.session]
    asked = np.isin(pool.turns.rows["speaker"], list(cue.asked))
    question = (pool.turns.rows["marks"] & QUESTION) != 0
    parts: dict[str, npt.NDArray[np.float32]] = {
        "words": own,
        "next": weights.next * shifted(own, pool.after[0]) + weights.next_but_one * shifted(own, pool.after[1]),
        "previous": weights.previous * shifted(own, pool.before[0])
        + weights.previous_but_one * shifted(own, pool.before[1]),
        "session": weights.session * session,
        "speaker": weights.speaker * asked,
        "question": -weights.question * question,
        "length": weights.log_length * np.log1p(pool.turns.lengths),
    }
    parts = {name: np.asarray(part, np.float32) for name, part in parts.items()}
    return Scores(np.asarray(sum(parts.values()), np.float32), parts)
