"""Ranking: the scored candidates of one query, in order, and the explanation of a single engram's position.

Owns the steps from a parsed query to a ranking, the widening of a filtered recall, the floor, and the explanation.
Reads a `SearchReader`; engrams are passed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engram.engram import Engram
from engram.recall.candidates import DEFAULT_LIMITS, RetrievalLimits, find_candidates
from engram.recall.features import Features, Floats, make_features
from engram.recall.query import ParsedQuery
from engram.recall.result import Explanation, Hit
from engram.recall.score import FLOOR, HEAD, Scores, TokenWeights, confidence, score, token_weights
from engram.search.base import Ints, SearchReader, Turns, kind_code
from engram.store.base import Filter
from engram.text.base import Analyzer
from engram.times import microseconds

WIDEST = 64
"""Upper bound of the factor by which candidate limits grow when a filter or copies leave few candidates."""


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
    exhausted: bool
    """Whether higher limits would find no more."""

    def folded(self, order: Ints) -> Iterator[int]:
        """Yield `order` with the turns first whose words no better turn of the same speaker has, then the copies."""
        ends, seen, copies = self.features.turns.lengths.cumsum(), set(), []
        for index in order.tolist():
            words = words_of(self.features.turns, index, ends)
            if words not in seen:
                yield index
            else:
                copies.append(index)
            seen.add(words)
        yield from copies

    def order(self, where: Filter, *, floor: bool = True) -> Ints:
        """Return the indices of the turns that a filter admits, best first; of equal ones the later first.

        Returns none if the best one's confidence is under the floor.
        """
        columns, parts = self.features.turns.columns, self.scores.parts
        # A word of the query, or one near it, must occur in the turn or in a neighbour.
        admitted = (parts["words"] + parts["previous"] + parts["next"]) > 0
        if where.before is not None:
            admitted &= columns["at"] < microseconds(where.before)
        if where.after is not None:
            admitted &= columns["at"] >= microseconds(where.after)
        if where.kinds is not None:
            admitted &= np.isin(columns["kind"], [kind_code(kind) for kind in where.kinds])
        order = self.scores.order[admitted.take(self.scores.order)]
        if floor and len(order) and self.confidence[order[0]] < FLOOR:
            return order[:0]
        return order

    def hit(self, index: int, engram: Engram, most: float = 1.0) -> Hit:
        """Return the hit for the turn at an index, with a score of at most `most`."""
        why = {name: float(part[index]) for name, part in self.scores.parts.items()}
        return Hit(engram, min(most, float(self.confidence[index])), why, int(self.seqs[index]))

    def explanation(self, query: str, engram: Engram, seq: int, order: Ints, winner: Hit | None) -> Explanation:
        """Explain the position in `order` of the engram with this seq."""
        order = np.fromiter(self.folded(order), np.int64, len(order))
        positions = np.flatnonzero(self.seqs[order] == seq)
        if not len(positions):
            words = {term: (float(w), 0.0) for term, w in zip(self.query.terms, self.token_weight, strict=True)}
            reason = (
                "it was no candidate: neither it nor a neighbour holds enough of the query's words or words near them"
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
    also: Ints | None = None,
) -> Ranking | None:
    """Find and score the candidates of a namespace; None if there are none. `also`: as in `find_candidates`."""
    candidates = find_candidates(reader, namespace, query, analyzer, limits, also)
    if not len(candidates.turns.rows):
        return None
    features = make_features(candidates.turns, query, analyzer, reader)
    # Without look-up all engrams are here, and are counted.
    frequencies = (
        np.count_nonzero(features.counts, axis=1) if candidates.frequencies is None else candidates.frequencies
    )
    weight = token_weights(query, candidates.size, frequencies)
    scores = score(query, features, weight)
    # The turns after the copies are hits too, so their confidence is computed as well.
    head = len(scores.order) if crowded(features.turns, scores) else HEAD
    sure = confidence(query, features, weight, scores, head=head)
    seqs = reader.seqs(candidates.turns.rows)
    return Ranking(
        query, features, namespace, seqs, candidates.size, frequencies, weight, scores, sure, candidates.exhausted
    )


def crowded(turns: Turns, scores: Scores) -> bool:
    """Return whether half of the best turns are copies of others, which may have kept out other candidates."""
    head, ends = scores.order[:HEAD], turns.lengths.cumsum()
    # Copies match the query's words equally well; this is quicker to see.
    alike = 2 * len(np.unique(scores.parts["words"].take(head))) <= len(head)
    return alike and 2 * len({words_of(turns, index, ends) for index in head.tolist()}) <= len(head)


def words_of(turns: Turns, index: int, ends: Ints) -> tuple[int, int, bytes]:
    """Return what copies of a turn share: role, speaker and tokens. `ends`: where each turn's tokens end."""
    row, end = turns.columns[index], int(ends[index])
    return int(row["role"]), int(row["speaker"]), turns.tokens[end - int(turns.lengths[index]) : end].tobytes()


def rank_filtered(
    reader: SearchReader,
    namespace: int,
    query: ParsedQuery,
    analyzer: Analyzer,
    where: Filter,
    limit: int,
    also: Ints | None = None,
) -> Ranking | None:
    """Rank as `rank` does, with more candidates while fewer than `limit` pass the filter or copies crowd out others."""
    factor = max(1, limit // DEFAULT_LIMITS.exact)
    while True:
        ranking = rank(reader, namespace, query, analyzer, DEFAULT_LIMITS.times(factor), also)
        if ranking is None or factor >= WIDEST or ranking.engrams <= len(ranking.seqs):
            return ranking
        filtered = is_narrow(where) and not ranking.exhausted and len(ranking.order(where)) < limit
        # Words that many copies hold count as common, so they are looked up only by higher limits.
        if not filtered and not crowded(ranking.features.turns, ranking.scores):
            return ranking
        factor *= 4


def is_narrow(where: Filter) -> bool:
    """Return whether a filter excludes engrams of the namespace."""
    return any(part is not None for part in (where.session, where.before, where.after, where.kinds))


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
