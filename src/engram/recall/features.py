"""The pool: the turns that one recall scores, and what each token of the cue finds in each of them.

Owns the arithmetic from token ids to matches, and who stands beside whom. Pure numpy over arrays; knows nothing of
where they came from. Arrays this small are gathered with `take`: indexing costs three to ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.search.base import Ints, Turns
from engram.text.analyzer import Analyzer

Floats = npt.NDArray[np.float32]

LONGEST_PAUSE = 6 * 3600 * 1_000_000
"""Microseconds between two turns of a session from which on they are not beside each other."""


@dataclass(frozen=True, slots=True)
class Features:
    """n turns, sorted by row, with what q tokens of a cue find in them."""

    turns: Turns
    counts: Floats
    """How often each token stands in each turn: shape (q, n)."""
    nearness: npt.NDArray[np.uint8]
    """The cosine of each token to the nearest other token of each turn, in steps of 1/255: shape (q, n)."""
    likeness: Floats
    """The cosine between the centroids of the cue and of each turn, 0 to 1: shape (n,)."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where the turns beside each of a pool's n turns are: places in the pool, -1 for none; shape (n,) each."""

    previous: Ints
    previous_but_one: Ints
    next: Ints
    next_but_one: Ints
    after_own: npt.NDArray[np.bool_]
    """Whether the turn before is by the same one: no exchange, but one who goes on."""
    before_own: npt.NDArray[np.bool_]
    """Whether the turn after is."""
    by_session: Ints
    """All places, one session after the other: shape (n,)."""
    starts: Ints
    """Where each of the s sessions begins in `by_session`: shape (s,)."""
    session: Ints
    """Each turn's session, as a place in `starts`: shape (n,)."""
    sessions: Ints
    """The numbers of the sessions in the store: shape (s,)."""


@dataclass(frozen=True, slots=True)
class QueryTable:
    """What the q tokens of a cue look for: every token that is one of them, or near one, has a slot.

    MaxSim over static vectors, as in ColBERT (Khattab and Zaharia, 2020), by look-up in place of a product.
    """

    slots: npt.NDArray[np.uint16]
    """The slot of each token id, 0 for all others; the cue's own tokens have 1 to q: shape (tokens,)."""
    similarity: npt.NDArray[np.uint8]
    """How near the token of each slot is to each other token of the cue, in steps of 1/255: shape (slots, q)."""
    centroid: Floats
    """The direction of the cue's centroid, of length 1: shape (CENTROID_DIMENSIONS,)."""

    @staticmethod
    def of(ids: Sequence[int], encoder: Analyzer) -> QueryTable:
        """The probe for the different tokens of a cue."""
        near = [(place, *found) for place, id in enumerate(ids) if (found := encoder.near(id)) is not None]
        wanted = np.concatenate((np.array(ids, np.int64), *(ids_near for _, ids_near, _ in near)))
        slots = np.zeros(encoder.tokens, np.uint16)
        # Of a token that comes twice the last place stands, so the cue's own are written again.
        slots[wanted] = np.arange(1, len(wanted) + 1)
        slots[wanted[: len(ids)]] = np.arange(1, len(ids) + 1)
        similarity = np.zeros((len(wanted) + 1, len(ids)), np.uint8)
        for place, ids_near, cosines in near:
            similarity[slots.take(ids_near), place] = cosines
            similarity[place + 1, place] = 0
        return QueryTable(slots, similarity, encoder.centroid(ids))


def make_features(turns: Turns, probe: QueryTable) -> Features:
    """What a probe finds in `turns`, which are sorted."""
    q, n = probe.similarity.shape[1], len(turns.rows)
    products = np.einsum("nd,d->n", turns.columns["centroid"].astype(np.float32), probe.centroid)
    likeness = np.maximum(products * np.float32(1 / 127), np.float32(0))
    found = probe.slots.take(turns.tokens)
    hits = found.nonzero()[0]
    turn_of = np.arange(n).repeat(turns.lengths).take(hits)
    slot_of = found.take(hits).astype(np.int64)
    own = (slot_of <= q).nonzero()[0]
    counts = np.bincount((slot_of.take(own) - 1) * n + turn_of.take(own), minlength=q * n).astype(np.float32)
    nearness = np.zeros((n, q), np.uint8)
    if len(hits):
        starts = changes(turn_of).nonzero()[0]
        nearest = np.maximum.reduceat(probe.similarity.take(slot_of, axis=0), starts, axis=0)
        nearness[turn_of.take(starts)] = nearest
    return Features(turns, counts.reshape(q, n), np.ascontiguousarray(nearness.T), likeness)


def find_neighbours(turns: Turns) -> Neighbours:
    """Who stands beside whom among `turns`, at least one, sorted by row."""
    rows = turns.columns
    previous = places_of(rows["previous"].astype(np.int64), turns.rows)
    has = (previous >= 0).nonzero()[0]
    before = previous.take(has)
    at = rows["at"].copy()
    # A session that is taken up again days later, as a list of notes is, is not one conversation.
    paused = np.abs(at.take(has) - at.take(before)) > LONGEST_PAUSE
    if paused.any():
        previous[has[paused]] = -1
        has, before = has[~paused], before[~paused]
    # What is before is enough: a turn's next may not be known yet where index and tail meet.
    following = np.full(len(previous), -1, np.int64)
    following[before] = has
    who = rows["speaker"].astype(np.int64) << 8 | rows["role"]
    own = np.zeros(len(previous) + 1, np.bool_)
    own[has] = who.take(has) == who.take(before)
    numbers = rows["session"].astype(np.int64)
    by_session = numbers.argsort(kind="stable")
    in_order = numbers.take(by_session)
    new = changes(in_order)
    starts = new.nonzero()[0]
    session = np.empty(len(previous), np.int64)
    session[by_session] = new.cumsum() - 1
    return Neighbours(
        previous=previous,
        previous_but_one=with_none(previous, -1).take(previous),
        next=following,
        next_but_one=with_none(following, -1).take(following),
        after_own=own[:-1],
        before_own=own.take(following),
        by_session=by_session,
        starts=starts,
        session=session,
        sessions=in_order.take(starts),
    )


def changes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of sorted `values` differ from the one before, the first counting as different: shape of `values`."""
    result = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=result[1:])
    return result


def places_of(wanted: Ints, rows: Ints) -> Ints:
    """The place of each wanted row among the sorted `rows`, at least one; -1 where it is not."""
    places = np.minimum(rows.searchsorted(wanted), len(rows) - 1)
    places[rows.take(places) != wanted] = -1
    return places


def with_none(values: npt.NDArray[Any], none: float = 0) -> npt.NDArray[Any]:
    """`values`, shape (..., n), with `none` behind the last, where the place -1 finds it: shape (..., n + 1)."""
    padded = np.full((*values.shape[:-1], values.shape[-1] + 1), none, values.dtype)
    padded[..., :-1] = values
    return padded
