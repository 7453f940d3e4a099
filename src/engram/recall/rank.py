"""Ranking: the scored candidates of one query, in order, and the explanation of a single engram's position.

Owns the steps from a parsed query to a ranking, the filter, the floor, and the explanation.
Reads a `SearchReader`; engrams are passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from engram.engram import ORIGINS, Engram
from engram.recall.by_time import find_by_time, score_by_time
from engram.recall.candidates import DEFAULT_LIMITS, Restriction, RetrievalLimits, find_candidates
from engram.recall.copies import asked_last, copies_last
from engram.recall.features import Features, Floats, make_features
from engram.recall.query import ParsedQuery
from engram.recall.result import Explanation, Hit
from engram.recall.score import FLOOR, Scores, TokenWeights, confidence, score, token_weights
from engram.search.base import Array, Ints, SearchReader, kind_code
from engram.store.base import Filter
from engram.text.base import Analyzer
from engram.text.passages import Span, passages
from engram.times import microseconds

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ranking:
    """n scored turns for a query of q tokens."""

    query: ParsedQuery
    features: Features
    namespace: int
    """Number of the namespace."""
    seqs: Ints
    """Seq of each turn in the namespace: shape (n,)."""
    engrams: int
    """Number of engrams of the namespace."""
    frequencies: Ints
    """Number of them that hold each token: shape (q,)."""
    token_weight: TokenWeights
    scores: Scores
    confidence: Floats
    """Confidence of each turn, 0 to 1: shape (n,)."""
    elsewhere: bool = False
    """Whether the query asks for a time alone and no turn is from it: a hit must then name it (`Analyzer.tells_of`)."""

    def order(self, where: Filter, floor: float = FLOOR) -> Ints:
        """Return the indices of the turns that a filter admits, best first; of equal ones the later first.

        Returns none if the best one's confidence is under `floor`.
        """
        columns, parts = self.features.turns.columns, self.scores.parts
        # The turn or a neighbour must match a word of the query or what it means, unless it asks for a time alone.
        matching = ("time",) if self.query.time_alone else ("words", "meaning", "previous", "next")
        admitted = sum(parts[name] for name in matching) > 0
        admitted &= admitted_by(where, columns)
        order = self.scores.order[admitted.take(self.scores.order)]
        if len(order) and self.confidence[order[0]] < floor:
            return order[:0]
        return order

    def hit(self, index: int, engram: Engram) -> Hit:
        """Return the hit for the turn at an index."""
        return self.hits([index], [engram])[0]

    def hits(self, indices: Sequence[int], engrams: Sequence[Engram]) -> list[Hit]:
        """Return the hits for the turns at some indices."""
        if not indices:
            return []
        # As lists: reading single entries of arrays takes several times as long.
        names, values = tuple(self.scores.parts), np.array([part.take(indices) for part in self.scores.parts.values()])
        sure, seqs = self.confidence.take(indices).tolist(), self.seqs.take(indices).tolist()
        return [
            Hit(engram, score, dict(zip(names, why, strict=True)), seq, self._passage(index, engram.text))
            for index, engram, score, why, seq in zip(indices, engrams, sure, values.T.tolist(), seqs, strict=True)
        ]

    def _passage(self, index: int, text: str) -> Span:
        """Return where the best passage of the turn at an index begins and ends in its `text`."""
        count = int(self.features.turns.passages[index])
        if count == 1:
            return 0, len(text)
        first, spans = int(self.features.starts_of_passages[index]), passages(text)
        best = int(self.scores.of_passages[first : first + count].argmax())
        # A long text has more passages than the index holds.
        return spans[min(best, len(spans) - 1)]

    def explanation(self, query: str, engram: Engram, seq: int, order: Ints, winner: Hit | None) -> Explanation:
        """Explain the position in `order` of the engram with this seq."""
        positions = np.flatnonzero(self.seqs[order] == seq)
        if not len(positions):
            words = {term: (float(w), 0.0) for term, w in zip(self.query.terms, self.token_weight, strict=True)}
            reason = (
                "it is not from a time that the query asks for, or others tell more of that time"
                if self.query.time_alone
                else "it was no candidate: it and its neighbours hold too few of the query's words or words near them,"
                " or later turns say the same"
            )
            return Explanation(query, engram, None, len(order), 0.0, {}, winner, words, reason)
        position = int(positions[0])
        index = int(order[position])
        matched = self.scores.matched[:, index]
        words = {
            term: (float(w), float(m)) for term, w, m in zip(self.query.terms, self.token_weight, matched, strict=True)
        }
        hit = self.hit(index, engram)
        reason = why_not_first(position + 1, hit, winner, words)
        return Explanation(query, engram, position + 1, len(order), hit.score, hit.why, winner, words, reason)


def rank(
    reader: SearchReader,
    namespace: int,
    query: ParsedQuery,
    analyzer: Analyzer,
    limits: RetrievalLimits = DEFAULT_LIMITS,
    only: Restriction | None = None,
) -> Ranking | None:
    """Find and score the candidates of a namespace; None if there are none. `only`: as in `find_candidates`."""
    by_time = find_by_time(reader, namespace, query, analyzer, only) if query.time_alone else None
    if by_time is None:
        candidates = find_candidates(reader, namespace, query, analyzer, limits, only)
    else:
        candidates = by_time.candidates
    if not len(candidates.turns.rows):
        return None
    features = make_features(candidates.turns, query, analyzer, reader)
    # Without look-up all engrams are here, and are counted.
    frequencies = (
        np.count_nonzero(features.in_turns(features.counts), axis=1)
        if candidates.frequencies is None
        else candidates.frequencies
    )
    weight = token_weights(query, candidates.size, frequencies)
    if by_time is not None:
        scores, sure = score_by_time(query, features, by_time)
    else:
        scores = score(query, features, weight)
        order = asked_last(scores.order, query, features, analyzer)
        order = copies_last(order, features, scores.parts)
        scores = replace(scores, order=order)
        sure = confidence(query, features, weight, scores)
    seqs = reader.seqs(candidates.turns.rows)
    elsewhere = by_time is not None and by_time.elsewhere
    return Ranking(query, features, namespace, seqs, candidates.size, frequencies, weight, scores, sure, elsewhere)


def restriction(reader: SearchReader, where: Filter, session_rows: Ints, whole: bool) -> Restriction | None:
    """Return what a filter leaves of a namespace; None if it is everything.

    session_rows: rows of the filter's session, if it has one. whole: whether these are all of its rows.
    """
    if all(part is None for part in (where.session, where.before, where.after, where.kinds, where.trust)):
        return None
    if where.session is None:
        return Restriction(partial(admitted_by, where), session_rows, complete=False)
    sessions = np.unique(reader.columns(session_rows)["session"])

    def admits(columns: Array) -> Flags:
        return admitted_by(where, columns) & np.isin(columns["session"], sessions)

    return Restriction(admits, session_rows, complete=whole)


def admitted_by(where: Filter, columns: Array) -> Flags:
    """Return which engrams the filter's times, kinds and trust admit: shape (n,). Different kinds may share a code."""
    admitted = np.ones(len(columns), np.bool_)
    if where.before is not None:
        admitted &= columns["at"] < microseconds(where.before)
    if where.after is not None:
        admitted &= columns["at"] >= microseconds(where.after)
    if where.kinds is not None:
        admitted &= np.isin(columns["kind"], [kind_code(kind) for kind in where.kinds])
    if where.trust is not None:
        admitted &= columns["origin"] <= ORIGINS.index(where.trust)
    return admitted


def why_not_first(rank: int, hit: Hit, winner: Hit | None, words: dict[str, tuple[float, float]]) -> str:
    """Say in a sentence why an engram is not the best hit, or that it is."""
    if winner is None or winner.score < FLOOR:
        best = hit.score if winner is None else winner.score
        return f"it is under the floor: even the best confidence, {best:.3f}, is lower than {FLOOR}"
    if rank == 1:
        return "it came first"
    part = max(hit.why, key=lambda name: winner.why.get(name, 0.0) - hit.why[name])
    behind = winner.why.get(part, 0.0) - hit.why[part]
    missing = [term for term, (weight, matched) in words.items() if matched < 0.3 and weight > 1]
    lacks = f"; it lacks {', '.join(missing)}" if part == "words" and missing else ""
    return f"most of the difference to the first comes from the part '{part}' ({behind:.2f}){lacks}"
