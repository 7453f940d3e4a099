"""The pool: the turns that one recall scores, and how each token of the cue matches each of them.

Owns the arithmetic from token ids to matches. Pure numpy over arrays; knows nothing of where they came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.index import Ints, Turns

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """n turns with what q tokens of a cue find in them. Turns are sorted by seq."""

    turns: Turns
    counts: Floats
    """How often each token stands in each turn: shape (q, n)."""
    nearness: Floats
    """The cosine of each token to the nearest other token of each turn, 0 to 1: shape (q, n)."""
    before: tuple[Ints, Ints]
    """Places of the turn before and the one before that, -1 where it is not in the pool: shape (n,) each."""
    after: tuple[Ints, Ints]
    """Places of the next two turns, likewise."""
    session: Ints
    """Each turn's session as a number from 0: shape (n,)."""


def make_pool(turns: Turns, ids: Sequence[int], rows: Sequence[npt.NDArray[np.uint8]]) -> Pool:
    """The pool of `turns` for a cue of `ids`, `rows` being how near every token is to each (`Encoder.similarities`)."""
    order = np.argsort(turns.seqs, kind="stable")
    seqs, links = turns.seqs[order], turns.rows[order]
    counts, nearness = matches(turns, ids, rows)
    before = place_of(links["previous"].astype(np.int64), seqs)
    after = place_of(links["next"].astype(np.int64), seqs)
    return Pool(
        turns=Turns(seqs, links, turns.tokens, turns.lengths[order]),
        counts=counts[:, order],
        nearness=nearness[:, order],
        before=(before, twice(before)),
        after=(after, twice(after)),
        session=np.unique(links["session"], return_inverse=True)[1].astype(np.int64),
    )


def matches(turns: Turns, ids: Sequence[int], rows: Sequence[npt.NDArray[np.uint8]]) -> tuple[Floats, Floats]:
    """How often each of `ids` stands in each turn, and the nearest other token: shape (q, n) each.

    MaxSim over static vectors, as in ColBERT (Khattab and Zaharia, 2020), by look-up in place of a product.
    """
    shape = (len(ids), len(turns.seqs))
    counts, nearness = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    # reduceat takes no empty stretches.
    held = np.flatnonzero(turns.lengths)
    if not len(held):
        return counts, nearness
    starts = (np.cumsum(turns.lengths) - turns.lengths)[held]
    for place, (id, row) in enumerate(zip(ids, rows, strict=True)):
        near = row[turns.tokens]
        same = turns.tokens == id
        if same.any():
            counts[place, held] = np.add.reduceat(same, starts, dtype=np.int32)
            near[same] = 0
        nearness[place, held] = np.maximum.reduceat(near, starts) / np.float32(255)
    return counts, nearness


def place_of(wanted: Ints, seqs: Ints) -> Ints:
    """The place of each wanted seq among the sorted `seqs`; -1 where it is not."""
    places = np.minimum(np.searchsorted(seqs, wanted), len(seqs) - 1) if len(seqs) else wanted
    return np.where((wanted > 0) & (seqs[places] == wanted), places, -1) if len(seqs) else wanted


def twice(step: Ints) -> Ints:
    """Two steps along a chain of places; -1 past its end."""
    return np.where(step >= 0, step[step], -1)


def shifted(values: Floats, places: Ints) -> Floats:
    """The values at `places`, 0 for -1: the last axis runs over turns."""
    return np.where(places >= 0, values[..., places], np.float32(0))
