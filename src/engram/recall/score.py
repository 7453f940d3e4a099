"""Scores: how well each turn of a pool answers a cue, and which parts its score is made of.

Owns the formula. Pure numpy; the numbers in it are `recall.weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.encode.encoder import ASKS, QUESTION, TIME
from engram.index import Ints
from engram.recall.cue import Cue
from engram.recall.pool import Floats, Pool, Surroundings, changes, shifted, surroundings
from engram.recall.weights import DEFAULT, Weights
from engram.recall.when import closeness

Weight = npt.NDArray[np.float64]
"""How much each token of a cue counts: shape (q,)."""


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
    matched: Floats
    """How well each turn matches each token of the cue: shape (q, n)."""
    counts: Floats
    """`Pool.counts`."""
    beside: Surroundings
    when: Floats
    """How near each turn is to a time that the query means, 0 to 1: shape (n,)."""


def token_weights(cue: Cue, statistics: Statistics, weights: Weights = DEFAULT) -> Weight:
    """How much each token of the cue counts, by how rare it is here and in plain language: shape (q,)."""
    in_a_turn = 1 - (1 - cue.probabilities) ** weights.typical_length
    expected = statistics.frequencies + weights.prior * in_a_turn + 0.5
    rarity = np.log((statistics.engrams + weights.prior + 1) / expected) - weights.rarity_shift
    return np.maximum(rarity, 0.02) ** weights.rarity_power


def match(pool: Pool, weights: Weights = DEFAULT) -> Floats:
    """How well each turn answers each token, exactly or by a near word, from 0 to about 1.2: shape (q, n)."""
    k1, b = weights.saturation, weights.length
    length = np.minimum(pool.turns.lengths / weights.typical_length, weights.longest)
    saturation = k1 * (1 - b + b * length)
    exact = pool.counts * (1 + k1) / (pool.counts + saturation)
    over = np.maximum(pool.nearness - weights.least_similarity, 0) / (1 - weights.least_similarity)
    near = weights.near * over**weights.near_power * (1 + k1) / (1 + saturation)
    return np.asarray(np.maximum(exact, near), dtype=np.float32)


def best_of_session(own: Floats, session: Ints) -> Floats:
    """The best of `own` among the turns of each turn's session: shape (n,)."""
    best = np.zeros(int(session.max()) + 1, np.float32)
    np.maximum.at(best, session, own)
    return np.asarray(best[session])


def said_in_session(matched: Floats, pool: Pool, session: Ints, weights: Weights) -> Floats:
    """How well the session of each turn answers each token, by its best match, less in a long one: shape (q, n)."""
    order = np.argsort(session, kind="stable")
    starts = np.flatnonzero(changes(session[order]))
    best = np.maximum.reduceat(matched[:, order], starts, axis=1)
    k, b = weights.session_saturation, weights.session_length
    length = pool.session_tokens[order][starts] / weights.typical_session
    said = best * (1 + k) / (best + k * (1 - b + b * length))
    return np.asarray(said.astype(np.float32)[:, session])


def said_by_asked(cue: Cue, pool: Pool, weights: Weights) -> npt.NDArray[np.float64]:
    """What each turn gains if it was said by who is asked about, by name or else by role: shape (n,)."""
    rows = pool.turns.rows
    values, wanted, worth = rows["role"], cue.roles, weights.role
    if cue.asked:
        values, wanted, worth = rows["speaker"], cue.asked, weights.speaker
    said = np.zeros(len(rows), np.bool_)
    for one in wanted:
        said |= values == one
    return np.where(said, worth, 0.0)


def summed(cue: Cue, matched: Floats, weight: Weight, weights: Weights = DEFAULT) -> Floats:
    """What each turn's matches add up to, as a share of the cue's whole weight: shape (n,); `matched`: (q, n)."""
    counted = weight * np.where(cue.names, weights.name, 1.0)
    scale = max(float(weight.sum()), 0.1) ** -weights.total_power
    # einsum, not BLAS: small products are not worth its threads (docs/LOG.md).
    return np.asarray(np.einsum("q,qn->n", (counted * scale).astype(np.float32), matched))


def score(cue: Cue, pool: Pool, weight: Weight, weights: Weights = DEFAULT) -> Scores:
    """Rank a pool of at least one turn for a cue; `weight` as from `token_weights`."""
    w = weights
    matched = match(pool, w)
    own = summed(cue, matched, weight, w)
    beside = surroundings(pool.turns)
    marks = pool.turns.rows["marks"]
    asking = np.where((marks & ASKS) != 0, own, np.float32(0))
    before = w.previous * shifted(own, beside.previous) + w.previous_but_one * shifted(own, beside.previous_but_one)
    before += w.answered * shifted(asking, beside.previous)
    after = w.next * shifted(own, beside.next) + w.next_but_one * shifted(own, beside.next_but_one)
    at = pool.turns.rows["at"]
    when = closeness(at, list(cue.periods)) if cue.periods else np.zeros(len(at), np.float32)
    parts: dict[str, npt.NDArray[np.floating]] = {
        "words": own,
        "likeness": w.likeness * pool.likeness,
        "next": after * np.where(beside.before_own, w.monologue, 1),
        "previous": before * np.where(beside.after_own, w.monologue, 1),
        "session": w.best_of_session * best_of_session(own, beside.session)
        + w.session * summed(cue, said_in_session(matched, pool, beside.session, w), weight, w),
        "speaker": said_by_asked(cue, pool, w),
        "question": -w.question * ((marks & QUESTION) != 0),
        "time": w.asks_when * (((marks & TIME) != 0) & cue.asks_when) + w.date * when,
    }
    single = {name: np.asarray(part, np.float32) for name, part in parts.items()}
    return Scores(np.asarray(sum(single.values()), np.float32), single, matched, pool.counts, beside, when)
