"""A ranking: all that one recall scored, in order, and what it says of a single engram.

Owns the order, the floor and the explanation. Knows nothing of files: engrams are handed to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engram import accel
from engram.engram import Engram
from engram.recall.candidates import RetrievalLimits, find_candidates
from engram.recall.compiled import Compiled
from engram.recall.confidence import FLOOR, confidence
from engram.recall.features import Features, Floats, Neighbours, QueryTable, find_neighbours, make_features
from engram.recall.query import ParsedQuery
from engram.recall.result import Explanation, Hit
from engram.recall.score import Scores, Statistics, Weight, score, token_weights
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import Ints, SearchReader, Turns, kind_code
from engram.store.base import Filter
from engram.text.analyzer import Analyzer
from engram.times import microseconds


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scored pool of one query."""

    cue: ParsedQuery
    pool: Features
    seqs: Ints
    """Seq of each turn of the pool: shape (n,)."""
    beside: Neighbours
    session_tokens: Ints
    """How many tokens each of `beside.sessions` has: shape (s,)."""
    statistics: Statistics
    weight: Weight
    """How much each token of the cue counts: shape (q,)."""
    scores: Scores
    confidence: Floats
    """Each turn's score from 0 to 1, in the same order as `scores.total`: shape (n,)."""
    exhausted: bool
    """Whether a wider reach would find no more."""

    def order(self, where: Filter, *, floor: bool = True) -> Ints:
        """Places in the pool of what a filter admits, best first; the later of two that are equal.

        None where the best of them is under the floor.
        """
        columns, parts = self.pool.turns.columns, self.scores.parts
        # At least a word of the query, or one near it, stands in it or beside it.
        keep = (parts["words"] + parts["previous"] + parts["next"]) > 0
        if where.before is not None:
            keep &= columns["at"] < microseconds(where.before)
        if where.after is not None:
            keep &= columns["at"] >= microseconds(where.after)
        if where.kinds is not None:
            keep &= np.isin(columns["kind"], [kind_code(kind) for kind in where.kinds])
        places = np.flatnonzero(keep)
        order = places[np.lexsort((-places, -self.scores.total[places]))]
        if floor and len(order) and self.confidence[order[0]] < FLOOR:
            return order[:0]
        return order

    def hit(self, place: int, engram: Engram) -> Hit:
        """What was found at a place of the pool."""
        why = {name: float(part[place]) for name, part in self.scores.parts.items()}
        return Hit(engram, float(self.confidence[place]), why, int(self.seqs[place]))

    def explanation(self, query: str, engram: Engram, seq: int, order: Ints, winner: Hit | None) -> Explanation:
        """What is known of the engram with this seq, `order` being the ranking's whole order."""
        ranked = np.flatnonzero(self.seqs[order] == seq)
        if not len(ranked):
            words = {term: (float(w), 0.0) for term, w in zip(self.cue.terms, self.weight, strict=True)}
            reason = "none of the query's words, nor a word near them, stands in it or right beside it often enough"
            return Explanation(query, engram, None, len(order), 0.0, {}, winner, words, reason)
        place = int(order[ranked[0]])
        matched = self.scores.matched[:, place]
        words = {t: (float(w), float(m)) for t, w, m in zip(self.cue.terms, self.weight, matched, strict=True)}
        rank = int(ranked[0]) + 1
        hit = self.hit(place, engram)
        reason = what_kept_it_down(rank, hit, winner, words)
        return Explanation(query, engram, rank, len(order), hit.score, hit.why, winner, words, reason)


def rank(
    reader: SearchReader, namespace: int, cue: ParsedQuery, encoder: Analyzer, reach: RetrievalLimits, also: Ints | None
) -> Ranking | None:
    """Find and score what a namespace holds for a cue; None if there is nothing. `also`: as in `find_candidates`."""
    found = find_candidates(reader, namespace, cue, encoder, reach, also)
    if not len(found.turns.rows):
        return None
    work = (Compiled if accel.available else InNumpy)(found.turns, cue, encoder)
    pool, beside = work.pool, work.beside
    frequencies = np.count_nonzero(pool.counts, axis=1) if found.frequencies is None else found.frequencies
    statistics = Statistics(found.size, frequencies)
    weight = token_weights(cue, statistics)
    session_tokens = reader.session_lengths(beside.sessions)
    scores, sure = work.scored(session_tokens, weight)
    seqs = reader.seqs(found.turns.rows)
    return Ranking(cue, pool, seqs, beside, session_tokens, statistics, weight, scores, sure, found.exhausted)


class InNumpy:
    """The scoring of some turns, sorted by row, for a cue: `Compiled` does the same where there is a kernel."""

    def __init__(self, turns: Turns, cue: ParsedQuery, encoder: Analyzer) -> None:
        self._cue = cue
        self.pool = make_features(turns, QueryTable.of(cue.ids, encoder))
        self.beside = find_neighbours(turns)

    def scored(self, session_tokens: Ints, weight: Weight, weights: Weights = DEFAULT) -> tuple[Scores, Floats]:
        """The scores, and the confidence."""
        scores = score(self._cue, self.pool, self.beside, session_tokens, weight, weights)
        return scores, confidence(self._cue, self.pool, self.beside, weight, scores, weights)


def what_kept_it_down(rank: int, hit: Hit, winner: Hit | None, words: dict[str, tuple[float, float]]) -> str:
    """A sentence on why an engram did not come first, or that it did."""
    if winner is None or winner.score < FLOOR:
        best = hit.score if winner is None else winner.score
        return f"the floor kept it down: not even the best ({best:.3f}, of {FLOOR}) fits the query"
    if rank == 1:
        return "nothing kept it down: it came first"
    part = max(hit.why, key=lambda name: winner.why.get(name, 0.0) - hit.why[name])
    behind = winner.why.get(part, 0.0) - hit.why[part]
    missing = [term for term, (weight, matched) in words.items() if matched < 0.3 and weight > 1]
    lacks = f"; it lacks {', '.join(missing)}" if part == "words" and missing else ""
    return f"most of what it is behind the first comes from '{part}' ({behind:.2f}){lacks}"
