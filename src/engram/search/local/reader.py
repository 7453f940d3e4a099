"""The reader of the local index: index and tail as one, as they were at one moment. Implements `SearchReader`.

Owns how both are combined: an engram is in the index up to `index.through`, and in the tail above. Knows no query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engram.search.base import Ints, Turns
from engram.search.local.build import Snapshot
from engram.search.local.delta import NONE, DeltaIndex
from engram.search.local.inverted import EVERY

K1, B = 1.2, 0.75
"""BM25's parameters in Tantivy, so that scores of the tail compare with those of the index."""


@dataclass(frozen=True, slots=True)
class IndexReader:
    """A snapshot of index and tail. A row is the engram's seq in the store."""

    index: Snapshot
    tail: DeltaIndex
    tail_through: int
    """The highest seq that this reader covers."""
    forgotten: Ints
    """Seqs that are deleted in the store and may still be in the index: shape (m,)."""
    unsearched: int
    """Engrams of all namespaces that neither index nor tail holds; 0 except while a large index is rebuilt."""

    @property
    def version(self) -> int:
        """The highest seq that this reader covers."""
        return self.tail_through

    @property
    def _has_tail(self) -> bool:
        return self.tail_through > self.index.through and len(self.tail) > 0

    def size(self, namespace: int) -> int:
        """Number of engrams of a namespace; in the index, deleted ones count until their segment is merged."""
        size = self.index.reader.size(namespace)
        return size + len(self._in_view(self.tail.seqs(namespace))) if self._has_tail else size

    def frequencies(self, namespace: int, terms: Sequence[str]) -> Ints:
        """For each term, the number of engrams that hold it, counted as in `size`: shape (len(terms),)."""
        counts = self.index.reader.frequencies(namespace, terms)
        if self._has_tail:
            counts += np.array([len(self._holding(namespace, term)[0]) for term in terms], np.int64)
        return counts

    def candidates(self, namespace: int, terms: Sequence[str], limit: int) -> Ints:
        """Rows of at most `limit` engrams that hold any of `terms`, best first by BM25."""
        scores, rows = self.index.reader.ranked(namespace, terms, limit)
        if not self._has_tail:
            return rows
        late, late_scores = self._score_tail(namespace, terms)
        order = (-np.concatenate((np.array(scores, np.float64), late_scores))).argsort(kind="stable")
        return np.asarray(np.concatenate((rows, late)).take(order[:limit]))

    def _score_tail(self, namespace: int, terms: Sequence[str]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """The engrams of the tail that hold any of `terms`, and their BM25 scores: shape (m,) each."""
        holding = [self._holding(namespace, term) for term in terms]
        if not any(len(rows) for rows, _ in holding):
            return NONE, np.empty(0)
        reader, columns = self.index.reader, self.tail.columns
        # BM25's statistics are those of all namespaces, as they are in the index.
        documents = reader.documents + len(self.tail)
        tokens = self.index.columns.tokens.size + columns.tokens.size
        # The document in the index has one term more: the bare mark of the namespace.
        typical = tokens / max(documents, 1) + 1
        frequencies = reader.frequencies(namespace, terms) + np.array([len(rows) for rows, _ in holding])
        rarity = np.log(1 + np.maximum(documents - frequencies + 0.5, 0.5) / (frequencies + 0.5))
        postings = np.concatenate([rows for rows, _ in holding])
        counts = np.concatenate([counts for _, counts in holding])
        lengths = columns.rows.view()["length"].take(postings - columns.first) + 1
        share = counts * (1 + K1) / (counts + K1 * (1 - B + B * lengths / typical))
        worth = rarity.repeat([len(rows) for rows, _ in holding]) * share
        late, turn_of = np.unique(postings, return_inverse=True)
        return np.asarray(late, np.int64), np.asarray(np.bincount(turn_of, worth, len(late)), np.float64)

    def all_rows(self, namespace: int, limit: int) -> Ints:
        """Rows of at most `limit` engrams of a namespace."""
        rows = self.index.reader.search(namespace, [EVERY], limit)
        if self._has_tail:
            rows = np.concatenate((rows, self._in_view(self.tail.seqs(namespace))))[:limit]
        return rows

    def take(self, rows: Ints) -> Turns:
        """The engrams with these rows, those of the index first; deleted ones are left out."""
        if len(self.forgotten):
            rows = rows[~np.isin(rows, self.forgotten)]
        through = self.index.through
        early = self.index.columns.take(rows[rows <= through])
        if not self._has_tail:
            return early
        late = rows[(rows > max(self.tail.after, through)) & (rows <= self.tail_through)]
        return Turns.joined([early, self.tail.columns.take(late)]) if len(late) else early

    def neighbours(self, rows: Ints) -> Ints:
        """Rows of the turns right before and right after these in their sessions, with repetitions."""
        early, follows = rows[rows <= self.index.through], self.tail.columns.follows
        parts = [self.index.columns.beside(early)]
        if len(early) < len(rows):
            parts.append(self.tail.columns.beside(rows[rows > self.index.through]))
        if follows:
            # In the index, the last turn of a session has no link to the session's first turn in the tail.
            parts.append(np.array([follows[row] for row in early.tolist() if row in follows], np.int64))
        return np.concatenate(parts)

    def session_lengths(self, sessions: Ints) -> Ints:
        """Number of tokens of each session, by session number: shape (len(sessions),)."""
        early = self.index.columns.session_tokens(sessions, self.index.through)
        if self.tail_through <= self.index.through:
            return early
        return early + self.tail.columns.session_tokens(sessions, self.tail_through)

    def seqs(self, rows: Ints) -> Ints:
        """The seq of each row, which is the row itself."""
        return rows

    def rows_of(self, namespace: int, seqs: Ints) -> Ints:
        """The row of each seq, which is the seq itself."""
        return seqs

    def _holding(self, namespace: int, term: str) -> tuple[Ints, Ints]:
        """The engrams of the tail that hold a term, and how often each does."""
        rows, counts = self.tail.holding(namespace, term)
        if not len(rows):
            return rows, counts
        visible = self._visible(rows)
        return rows[visible], counts[visible]

    def _in_view(self, rows: Ints) -> Ints:
        return rows[self._visible(rows)]

    def _visible(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Which rows of the tail belong to this reader: not indexed, not newer, not deleted."""
        visible = (rows > self.index.through) & (rows <= self.tail_through)
        return visible & ~np.isin(rows, self.forgotten) if len(self.forgotten) else visible
