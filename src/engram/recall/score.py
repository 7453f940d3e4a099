"""Scores: how well each turn of a pool answers a cue, and which parts its score is made of.

Owns the formula. Pure numpy; the numbers in it are `recall.weights`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.recall.dates.parse import closeness
from engram.recall.features import Features, Floats, Neighbours, with_none
from engram.recall.query import ParsedQuery
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import Ints
from engram.text.analyzer import ASKS, QUESTION, TIME
from engram.text.vectors import SIMILARITY_STEP

Weight = npt.NDArray[np.float64]
"""How much each token of a cue counts: shape (q,)."""

PARTS = ("words", "likeness", "next", "previous", "session", "speaker", "question", "time")
"""What a score is the sum of, in the order of the sum."""


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
    when: Floats
    """How near each turn is to a time that the query means, 0 to 1: shape (n,)."""


def token_weights(cue: ParsedQuery, statistics: Statistics, weights: Weights = DEFAULT) -> Weight:
    """How much each token of the cue counts, by how rare it is here and in plain language: shape (q,)."""
    in_a_turn = 1 - (1 - cue.probabilities) ** weights.typical_length
    expected = statistics.frequencies + weights.prior * in_a_turn + 0.5
    rarity = np.log((statistics.engrams + weights.prior + 1) / expected) - weights.rarity_shift
    return np.maximum(rarity, 0.02) ** weights.rarity_power


def match(pool: Features, weights: Weights = DEFAULT) -> Floats:
    """How well each turn answers each token, exactly or by a near word, from 0 to about 1.2: shape (q, n)."""
    k1, b = np.float32(weights.saturation), np.float32(weights.length)
    length = pool.turns.lengths.astype(np.float32) * np.float32(1 / weights.typical_length)
    saturation = k1 * (1 - b + b * np.minimum(length, np.float32(weights.longest)))
    exact = pool.counts / (pool.counts + saturation)
    near = near_worth(weights).take(pool.nearness) / (1 + saturation)
    return np.asarray(np.maximum(exact, near, out=near) * (1 + k1))


def near_worth(weights: Weights) -> Floats:
    """What a near word is worth of an exact one, by its similarity in steps of 1/255: shape (256,)."""
    similarity = np.arange(256, dtype=np.float32) * np.float32(SIMILARITY_STEP)
    over = np.maximum(similarity - weights.least_similarity, 0) / (1 - weights.least_similarity)
    return np.asarray(weights.near * over**weights.near_power, np.float32)


def best_of_session(own: Floats, beside: Neighbours) -> Floats:
    """The best of `own` among the turns of each turn's session: shape (n,)."""
    best = np.maximum.reduceat(own.take(beside.by_session), beside.starts)
    return np.asarray(best.take(beside.session))


def said_in_sessions(matched: Floats, session_tokens: Ints, beside: Neighbours, weights: Weights) -> Floats:
    """How well each session answers each token, by its best match, less in a long one: shape (q, s)."""
    best = np.maximum.reduceat(matched.take(beside.by_session, axis=1), beside.starts, axis=1)
    k, b = weights.session_saturation, weights.session_length
    length = session_tokens.astype(np.float32) * np.float32(1 / weights.typical_session)
    return np.asarray(best * np.float32(1 + k) / (best + k * (1 - b + b * length)), np.float32)


def said_by_asked(cue: ParsedQuery, pool: Features, weights: Weights) -> npt.NDArray[np.float64]:
    """What each turn gains if it was said by who is asked about, by name or else by role: shape (n,)."""
    rows = pool.turns.columns
    values, wanted, worth = rows["role"], cue.roles, weights.role
    if cue.asked:
        values, wanted, worth = rows["speaker"], cue.asked, weights.speaker
    said = np.zeros(len(rows), np.bool_)
    for one in wanted:
        said |= values == one
    return np.where(said, worth, 0.0)


def summed(cue: ParsedQuery, matched: Floats, weight: Weight, weights: Weights = DEFAULT) -> Floats:
    """What each turn's matches add up to, as a share of the cue's whole weight: shape (n,); `matched`: (q, n)."""
    counted = weight * np.where(cue.names, weights.name, 1.0)
    scale = max(float(weight.sum()), 0.1) ** -weights.total_power
    # einsum, not BLAS: small products are not worth its threads (docs/LOG.md).
    return np.asarray(np.einsum("q,qn->n", (counted * scale).astype(np.float32), matched))


def score(
    cue: ParsedQuery,
    pool: Features,
    beside: Neighbours,
    session_tokens: Ints,
    weight: Weight,
    weights: Weights = DEFAULT,
) -> Scores:
    """Rank a pool of at least one turn for a cue; `weight` as from `token_weights`.

    session_tokens: how many tokens each of `beside.sessions` has, in or out of the pool: shape (s,).
    """
    w = weights
    matched = match(pool, w)
    own = summed(cue, matched, weight, w)
    at, marks = pool.turns.columns["at"], pool.turns.columns["marks"]
    there, asking = with_none(own), with_none(own * ((marks & ASKS) != 0))
    before = w.previous * there.take(beside.previous) + w.previous_but_one * there.take(beside.previous_but_one)
    before += w.answered * asking.take(beside.previous)
    after = w.next * there.take(beside.next) + w.next_but_one * there.take(beside.next_but_one)
    own_voice = np.array((1, w.monologue), np.float32)
    when = closeness(at, list(cue.periods)) if cue.periods else np.zeros(len(at), np.float32)
    said = summed(cue, said_in_sessions(matched, session_tokens, beside, w), weight, w)
    parts: dict[str, npt.NDArray[np.floating]] = {
        "words": own,
        "likeness": w.likeness * pool.likeness,
        "next": after * own_voice.take(beside.before_own),
        "previous": before * own_voice.take(beside.after_own),
        "session": w.best_of_session * best_of_session(own, beside) + w.session * said.take(beside.session),
        "speaker": said_by_asked(cue, pool, w),
        "question": -w.question * ((marks & QUESTION) != 0),
        "time": w.asks_when * (((marks & TIME) != 0) & cue.asks_when) + w.date * when,
    }
    single = {name: np.asarray(part, np.float32) for name, part in parts.items()}
    return Scores(np.asarray(sum(single.values()), np.float32), single, matched, when)
