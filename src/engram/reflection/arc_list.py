"""The list of arcs: which names of a namespace make an arc, and which are one arc together.

Owns these rules. A name counts that comes back; a word that is not written as a name, only if it comes much more often
than in its language. A name whose turns are nearly those of another one belongs to the other's arc. Pure functions over
arrays, in time proportional to the number of mentions but for the sorting of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram.reflection.mentions import Ints, TurnNames

LEAST_TURNS = 3
"""Turns that make an arc; two are enough if they are of two sessions and it is written as a name."""
WRITTEN = 0.3
"""Share of its turns in which a name is written as one."""
POOL = 256
"""Names that are compared with each other at least."""
ALIKE = 0.6
"""Share of the turns of either of two names that name both, from which they are one arc."""
BESIDE = 0.5
"""Share of the turns of an arc that name something, from which it stands in the title."""
WORDS_A_NAME = 2.5
"""Words of a text for each one that tells something, about."""
OFTENER = 5.0
"""How many times as often as in its language a word must come that is not written as a name."""


class Chain(NamedTuple):
    """The turns that share a name."""

    number: int
    """Of the name."""
    turns: Ints
    """Positions of its turns in the order of time: shape (t,)."""
    sessions: int
    is_name: bool


class Candidates(NamedTuple):
    """Names that may make an arc, those of the most sessions first."""

    chains: Sequence[Chain]
    total: int
    """Number of all turns of the namespace."""
    words: float
    """Words of a turn, about."""


def candidates(turns: TurnNames, most: int) -> Candidates:
    """Return the names that come back, at most `most`."""
    order = np.argsort(turns.names, kind="stable")
    in_order = turns.names[order]
    starts = np.flatnonzero(np.diff(in_order, prepend=-1))
    counts = np.diff(starts, append=len(order))
    written = np.add.reduceat(turns.written[order], starts, dtype=np.int64) if len(starts) else counts
    sessions = sessions_of(turns.sessions[turns.turn_of[order]], counts)
    is_name = written >= WRITTEN * counts
    kept = np.flatnonzero((counts >= LEAST_TURNS) | (is_name & (counts > 1) & (sessions > 1)))
    weight = sessions[kept] * (1 + is_name[kept])
    best = kept[np.lexsort((in_order[starts[kept]], -counts[kept], -weight))][:most]
    chains = [
        Chain(
            int(in_order[starts[row]]),
            turns.turn_of[order[starts[row] : starts[row] + counts[row]]],
            int(sessions[row]),
            bool(is_name[row]),
        )
        for row in best.tolist()
    ]
    return Candidates(chains, len(turns.seqs), WORDS_A_NAME * len(turns.names) / max(1, len(turns.seqs)))


def sessions_of(sessions: Ints, counts: Ints) -> Ints:
    """Return the number of different sessions of each name: shape of `counts`, the numbers of its mentions.

    sessions: those of all mentions, by names.
    """
    if not len(sessions):
        return np.zeros(0, np.int64)
    name = np.repeat(np.arange(len(counts)), counts)
    first = int(sessions.min())
    size = int(sessions.max()) - first + 1
    # Sorted, and not `np.unique`, which takes ten times as long for a million numbers.
    pairs = np.sort(name * size + (sessions - first))
    return np.bincount(pairs[np.flatnonzero(np.diff(pairs, prepend=-1))] // size, minlength=len(counts))


def comes_often(chain: Chain, share: float, found: Candidates) -> bool:
    """Return whether a word comes more often than chance; share: that of the word among all words of its language."""
    return len(chain.turns) >= OFTENER * found.total * min(1.0, share * found.words)


def bits(chain: Chain, count: int) -> int:
    """Return the turns of a chain as the bits of a number; count: that of all turns."""
    flags = np.zeros(count, np.bool_)
    flags[chain.turns] = True
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


class Joined(NamedTuple):
    """An arc: the chain that it is named after, and what belongs to it."""

    chain: Chain
    same: list[Chain]
    """Names whose turns are nearly its own: parts of the same name, or what is told of it alone."""
    beside: list[Chain]
    """Other names in at least half of its turns."""


def joined(chains: Sequence[Chain], count: int, limit: int) -> list[Joined]:
    """Return the first `limit` arcs of some chains: those that are alike are one. count: the number of all turns."""
    sets = [bits(chain, count) for chain in chains]
    arcs: list[tuple[Joined, int]] = []
    for chain, members in zip(chains, sets, strict=True):
        own = len(chain.turns)
        for arc, others in arcs:
            both = (members & others).bit_count()
            if both >= ALIKE * own and both >= ALIKE * len(arc.chain.turns):
                arc.same.append(chain)
                break
            if both >= BESIDE * len(arc.chain.turns):
                arc.beside.append(chain)
        else:
            if len(arcs) < limit:
                beside = [arc.chain for arc, others in arcs if (members & others).bit_count() >= BESIDE * own]
                arcs.append((Joined(chain, [], beside), members))
    return [arc for arc, _ in arcs]
