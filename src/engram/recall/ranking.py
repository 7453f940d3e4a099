"""A ranking: all that one recall scored, in order, and what it says of a single engram.

Owns the order, the floor and the explanation. Knows nothing of files: engrams are handed to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.encode import Encoder
from engram.engram import Engram
from engram.index import Ints, View
from engram.index.columns import kind_code
from engram.recall.candidates import Found
from engram.recall.confidence import FLOOR, confidence
from engram.recall.cue import Cue
from engram.recall.pool import Pool, make_pool
from engram.recall.result import Explanation, Hit
from engram.recall.score import Scores, Statistics, match, score, token_weights
from engram.store import Filter
from engram.store.sqlite import microseconds


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scored pool of one query."""

    cue: Cue
    pool: Pool
    statistics: Statistics
    scores: Scores
    confidence: npt.NDArray[np.float32]
    """Each turn's score from 0 to 1, in the same order as `scores.total`: shape (n,)."""

    def order(self, where: Filter, *, floor: bool = True) -> Ints:
        """Places in the pool of what a filter admits, best first; the later of two that are equal."""
        rows = self.pool.turns.rows
        keep = np.ones(len(rows), np.bool_)
        if floor:
            keep &= self.confidence >= FLOOR
        if where.before is not None:
            keep &= rows["at"] < microseconds(where.before)
        if where.after is not None:
            keep &= rows["at"] >= microseconds(where.after)
        if where.kinds is not None:
            keep &= np.isin(rows["kind"], [kind_code(kind) for kind in where.kinds])
        places = np.flatnonzero(keep)
        return places[np.lexsort((-places, -self.scores.total[places]))]

    def hit(self, place: int, engram: Engram) -> Hit:
        """What was found at a place of the pool."""
        why = {name: float(part[place]) for name, part in self.scores.parts.items()}
        return Hit(engram, float(self.confidence[place]), why, int(self.pool.turns.seqs[place]))

    def explanation(self, query: str, engram: Engram, seq: int, order: Ints, winner: Hit | None) -> Explanation:
        """What is known of the engram with this seq, `order` being the ranking's whole order."""
        found = np.flatnonzero(self.pool.turns.seqs == seq)
        counted = token_weights(self.cue, self.statistics)
        if not len(found):
            words = {term: (float(w), 0.0) for term, w in zip(self.cue.terms, counted, strict=True)}
            reason = "none of the query's words, nor a word near them, stands in it or right beside it often enough"
            return Explanation(query, engram, None, len(order), 0.0, {}, winner, words, reason)
        place = int(found[0])
        matched = match(self.pool)[:, place]
        words = {t: (float(w), float(m)) for t, w, m in zip(self.cue.terms, counted, matched, strict=True)}
        rank = int(np.flatnonzero(order == place)[0]) + 1
        hit = self.hit(place, engram)
        reason = what_kept_it_down(rank, hit, winner, words)
        return Explanation(query, engram, rank, len(order), hit.score, hit.why, winner, words, reason)


def rank(cue: Cue, found: Found, view: View, encoder: Encoder) -> Ranking | None:
    """Score what was found for a cue; None if nothing was."""
    if not len(found.turns.seqs):
        return None
    pool = make_pool(found.turns, cue.ids, encoder.similarities(cue.ids))
    late = pool.turns.seqs > view.index.through
    in_tail = (pool.counts[:, late] > 0).sum(axis=1)
    statistics = Statistics(found.size + found.tail, found.frequencies + in_tail)
    scores = score(cue, pool, statistics)
    return Ranking(cue, pool, statistics, scores, confidence(cue, pool, statistics, scores))


def what_kept_it_down(rank: int, hit: Hit, winner: Hit | None, words: dict[str, tuple[float, float]]) -> str:
    """A sentence on why an engram did not come first, or that it did."""
    if hit.score < FLOOR:
        return f"it is under the floor ({hit.score:.2f} of {FLOOR:.2f}): too little of the query is answered here"
    if winner is None or rank == 1:
        return "nothing kept it down: it came first"
    part = max(hit.why, key=lambda name: winner.why.get(name, 0.0) - hit.why[name])
    behind = winner.why.get(part, 0.0) - hit.why[part]
    missing = [term for term, (weight, matched) in words.items() if matched < 0.3 and weight > 1]
    lacks = f"; it lacks {', '.join(missing)}" if part == "words" and missing else ""
    return f"most of what it is behind the first comes from '{part}' ({behind:.2f}){lacks}"
