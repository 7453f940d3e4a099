"""Features: everything that the formula reads of the turns it scores.

Owns which features there are. `engram.accel` computes them; `recall.score` weighs them. Knows no weight
and no index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.recall.query import ParsedQuery
from engram.search.base import Ints, SearchReader, Turns
from engram.text.base import Analyzer

Floats = npt.NDArray[np.float32]

LONGEST_PAUSE = 6 * 3600 * 1_000_000
"""Microseconds between two turns of a session above which they are not neighbours: a list of notes that is continued
days later is not one conversation."""


@dataclass(frozen=True, slots=True)
class Features:
    """n turns sorted by row, of s sessions, as a query of q tokens sees them. An index of a turn is -1 for none."""

    turns: Turns
    """Their columns (time, speaker, role, marks, kind, ...), tokens and lengths."""
    counts: Floats
    """How often each token occurs in each turn: shape (q, n)."""
    nearness: npt.NDArray[np.uint8]
    """Cosine of each token to the nearest other token of each turn, in steps of 1/255: shape (q, n)."""
    centroid_similarity: Floats
    """Cosine between the centroids of query and turn, 0 to 1: shape (n,)."""
    around: Ints
    """Indices of the previous turn, the last but one, the next, and the next but one: shape (4, n)."""
    same_speaker: npt.NDArray[np.bool_]
    """Whether the previous, and the next, turn has the same speaker and role: a monologue. Shape (2, n)."""
    by_session: Ints
    """Indices of all turns, one session after the other: shape (n,)."""
    starts: Ints
    """Where each session begins in `by_session`: shape (s,)."""
    session: Ints
    """Each turn's session, as an index into `starts`: shape (n,)."""
    session_lengths: Ints
    """Number of tokens of each session, including turns that are not scored: shape (s,)."""
    held: Floats
    """How many of each turn's tokens are the query's, or name them otherwise: shape (n,)."""


def make_features(turns: Turns, query: ParsedQuery, analyzer: Analyzer, reader: SearchReader) -> Features:
    """Return the features of at least one turn, sorted by row."""
    ids = query.all_ids
    has_near = [analyzer.has_near(id) for id in ids]
    compute = accel.in_use()
    found = compute.match_tokens(turns.columns, turns.tokens, turns.lengths, ids, has_near, analyzer.language)
    held = np.add.reduce(found.counts, axis=0)
    counts, nearness = query.by_rules(found.counts), query.by_rules(found.nearness)
    links = compute.find_neighbours(turns.rows, turns.columns, LONGEST_PAUSE)
    around, same_speaker, by_session, starts, session, sessions = links
    lengths = reader.session_lengths(sessions)
    return Features(
        turns, counts, nearness, found.cosines, around, same_speaker, by_session, starts, session, lengths, held
    )
