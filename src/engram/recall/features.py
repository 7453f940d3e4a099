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
from engram.search.base import Array, Ints, SearchReader, Turns
from engram.text.base import Analyzer

Floats = npt.NDArray[np.float32]

CENTROIDS = np.float32(0.3)
"""What the cosine of centroids counts in place of that of vectors: it is greater, and says less."""

FEW_MISSING = 0.2
"""Share of the turns that may have no vector while the others' vectors count."""
NEAREST = 8
"""Nearest passages whose mean cosine is taken for one without a vector."""

LONGEST_PAUSE = 6 * 3600 * 1_000_000
"""Microseconds between two turns of a session above which they are not neighbours: a list of notes that is continued
days later is not one conversation."""


@dataclass(frozen=True, slots=True)
class Features:
    """n turns sorted by row, of p passages and s sessions, as a query of q tokens sees them.

    An index of a turn is -1 for none.
    """

    turns: Turns
    """Their columns (time, speaker, role, marks, kind, ...), tokens and lengths."""
    starts_of_passages: Ints
    """Index of the first passage of each turn: shape (n,)."""
    counts: Floats
    """How often each token occurs in each passage: shape (q, p)."""
    nearness: npt.NDArray[np.uint8]
    """Cosine of each token to the nearest other token of each passage, in steps of 1/255: shape (q, p)."""
    meaning: Floats
    """Cosine between query and passage, at least 0: shape (p,). Without vectors, that of their words' centroids."""
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
    encoded: npt.NDArray[np.bool_]
    """Whether the turn's `meaning` is by its own vectors: shape (n,)."""

    def in_turns(self, of_passages: Array) -> Array:
        """Return the greatest value of each turn's passages: shape (..., p) to (..., n)."""
        if of_passages.shape[-1] == len(self.starts_of_passages):
            return of_passages
        return np.asarray(np.maximum.reduceat(of_passages, self.starts_of_passages, axis=-1))


def make_features(turns: Turns, query: ParsedQuery, analyzer: Analyzer, reader: SearchReader) -> Features:
    """Return the features of at least one turn, sorted by row."""
    ids = query.all_ids
    has_near = [analyzer.has_near(id) for id in ids]
    compute = accel.in_use()
    parted = len(turns.passage_lengths) > len(turns.rows)
    columns = turns.columns.repeat(turns.passages) if parted else turns.columns
    found = compute.match_tokens(columns, turns.tokens, turns.passage_lengths, ids, has_near, analyzer.language)
    starts_of_passages = turns.starts
    links = compute.find_neighbours(turns.rows, turns.columns, LONGEST_PAUSE)
    around, same_speaker, by_session, starts, session, sessions = links
    meaning, encoded = similar_meaning(turns, query, reader, found.cosines)
    if parted:
        encoded = np.logical_and.reduceat(encoded, starts_of_passages)
    return Features(
        turns=turns,
        starts_of_passages=starts_of_passages,
        counts=query.by_rules(found.counts),
        nearness=query.by_rules(found.nearness),
        meaning=meaning,
        encoded=encoded,
        centroid_similarity=found.cosines[starts_of_passages] if parted else found.cosines,
        around=around,
        same_speaker=same_speaker,
        by_session=by_session,
        starts=starts,
        session=session,
        session_lengths=reader.session_lengths(sessions),
        held=np.add.reduceat(np.add.reduce(found.counts, axis=0), starts_of_passages),
    )


def similar_meaning(
    turns: Turns, query: ParsedQuery, reader: SearchReader, centroids: Floats
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the cosine between query and each passage, and whether it is by its own vector: shape (p,) each.

    The two are not compared with each other. While many turns have no vector, none counts; the passages of a few that
    have none yet are taken for as near as the nearest ones, so that their words decide.
    """
    by_words, none = np.asarray(CENTROIDS * centroids, np.float32), np.zeros(len(centroids), np.bool_)
    if query.vector is None:
        return by_words, none
    encoded = np.asarray(turns.codes.any(axis=1), np.bool_)
    # Of turns and not of passages: a single long text may have more of them than all others.
    missing = len(turns.passages) - int(np.count_nonzero(np.logical_and.reduceat(encoded, turns.starts)))
    if missing > FEW_MISSING * len(turns.passages):
        return by_words, none
    cosines = np.maximum(reader.similarities(turns.codes, query.vector), 0)
    if missing:
        nearest = np.float32(np.sort(cosines)[-NEAREST:].mean())
        cosines = np.where(encoded | (centroids <= 0), cosines, nearest)
    return np.asarray(cosines, np.float32), encoded
