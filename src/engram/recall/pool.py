"""The pool: the turns that one recall scores, and what each token of the cue finds in each of them.

Owns the arithmetic from token ids to matches, and who stands beside whom. Pure numpy over arrays; knows nothing of
where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.encode import Encoder
from engram.index import Ints, Turns

Floats = npt.NDArray[np.float32]

LONGEST_PAUSE = 6 * 3600 * 1_000_000
"""Microseconds between two turns of a session from which on they are not beside each other."""


@dataclass(frozen=True, slots=True)
class Pool:
    """n turns, sorted by seq, with what q tokens of a cue find in them."""

    turns: Turns
    counts: Floats
    """How often each token stands in each turn: shape (q, n)."""
    nearness: Floats
    """The cosine of each token to the nearest other token of each turn, 0 to 1: shape (q, n)."""
    likeness: Floats
    """The cosine between the centroids of the cue and of each turn, 0 to 1: shape (n,)."""
    session_tokens: Ints
    """How many tokens the session of each turn has, in or out of the pool: shape (n,)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the turns beside each of a pool's n turns are: places in the pool, -1 for none; shape (n,) each."""

    previous: Ints
    previous_but_one: Ints
    next: Ints
    next_but_one: Ints
    after_own: npt.NDArray[np.bool_]
    """Whether the turn before is by the same one: no exchange, but one who goes on."""
    before_own: npt.NDArray[np.bool_]
    """Whether the turn after is."""
    session: Ints
    """Each turn's session, as a number from 0."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the tokens of a cue look for, as the encoder has it."""

    ids: Sequence[int]
    similarities: Sequence[npt.NDArray[np.uint8] | None]
    centroid: Floats
    """The direction of their centroid, of length 1: shape (CENTROID_DIMENSIONS,)."""

    @staticmethod
    def of(ids: Sequence[int], encoder: Encoder) -> Probe:
        """The probe for the tokens of a cue."""
        return Probe(ids, encoder.similarities(ids), encoder.centroids([ids])[0].astype(np.float32) / 127)


def make_pool(turns: Turns, probe: Probe) -> Pool:
    """What a probe finds in `turns`, which are sorted.

    MaxSim over static vectors, as in ColBERT (Khattab and Zaharia, 2020), by look-up in place of a product.
    """
    shape = (len(probe.ids), len(turns.seqs))
    counts, nearness = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    products = np.einsum("nd,d->n", turns.rows["centroid"].astype(np.float32), probe.centroid)
    likeness = np.maximum(products / np.float32(127), 0)
    # reduceat takes no empty stretches.
    held = np.flatnonzero(turns.lengths)
    if not len(held):
        return Pool(turns, counts, nearness, likeness, turns.lengths)
    starts = (np.cumsum(turns.lengths) - turns.lengths)[held]
    turn_of = np.repeat(np.arange(len(turns.seqs)), turns.lengths)
    # Indexing converts its index to this type each time, so it is done once.
    tokens = turns.tokens.astype(np.intp)
    for place, (id, row) in enumerate(zip(probe.ids, probe.similarities, strict=True)):
        if row is not None:
            nearness[place, held] = np.maximum.reduceat(row.take(tokens), starts)
        same = np.flatnonzero(turns.tokens == id)
        if len(same):
            counts[place] = np.bincount(turn_of[same], minlength=shape[1])
    return Pool(turns, counts, nearness * np.float32(1 / 255), likeness, turns.lengths)


def joined(first: Pool, second: Pool) -> Pool:
    """Both pools' turns, which must be different ones, as one pool."""
    if not len(second.turns.seqs):
        return first
    turns = Turns.joined([first.turns, second.turns])
    order = np.argsort(turns.seqs, kind="stable")
    # Tokens have done their work: a pool of pools needs only their number.
    turns = Turns(turns.seqs[order], turns.rows[order], turns.tokens[:0], turns.lengths[order])
    counts = np.concatenate((first.counts, second.counts), axis=1)[:, order]
    nearness = np.concatenate((first.nearness, second.nearness), axis=1)[:, order]
    return Pool(turns, counts, nearness, np.concatenate((first.likeness, second.likeness))[order], turns.lengths)


def surroundings(turns: Turns) -> Surroundings:
    """Who stands beside whom among `turns`, sorted by seq."""
    rows = turns.rows
    previous = places_of(rows["previous"].astype(np.int64), turns.seqs)
    has = np.flatnonzero(previous >= 0)
    # A session that is taken up again days later, as a list of notes is, is not one conversation.
    paused = np.abs(rows["at"][has] - rows["at"][previous[has]]) > LONGEST_PAUSE
    previous[has[paused]] = -1
    has = has[~paused]
    # What is before is enough: a turn's next may not be known yet where index and tail meet.
    following = np.full(len(previous), -1, np.int64)
    following[previous[has]] = has
    own = np.zeros(len(previous), np.bool_)
    own[has] = (rows["speaker"][has] == rows["speaker"][previous[has]]) & (
        rows["role"][has] == rows["role"][previous[has]]
    )
    return Surroundings(
        previous=previous,
        previous_but_one=np.where(previous >= 0, previous[previous], -1),
        next=following,
        next_but_one=np.where(following >= 0, following[following], -1),
        after_own=own,
        before_own=np.where(following >= 0, own[following], False),
        session=numbered(rows["session"]),
    )


def numbered(values: npt.NDArray[np.int32]) -> Ints:
    """Equal values as equal numbers from 0, in the values' order: shape of `values`."""
    order = np.argsort(values, kind="stable")
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.cumsum(changes(values[order])) - 1
    return numbers


def changes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of sorted `values` differ from the one before, the first counting as different: shape of `values`."""
    result = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=result[1:])
    return result


def places_of(wanted: Ints, seqs: Ints) -> Ints:
    """The place of each wanted seq among the sorted `seqs`, at least one; -1 where it is not."""
    places = np.minimum(np.searchsorted(seqs, wanted), len(seqs) - 1)
    return np.where((wanted > 0) & (seqs[places] == wanted), places, -1)


def shifted(values: Floats, places: Ints) -> Floats:
    """The values at `places`, 0 for -1: shape of `places`."""
    return np.where(places >= 0, values[places], np.float32(0))
