"""The reader of the local index: index and tail as one, as they were at one moment. Implements `SearchReader`.

Owns how both are combined: rows up to `index.rows` are read from the index, those from `tail.first` to `tail_last` from
the tail. Knows no query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engram.search.base import GONE, RAW, ROW, Array, Floats, Ints, Span, Timed, Turns
from engram.search.local.build import Snapshot
from engram.search.local.delta import NONE, DeltaIndex
from engram.search.local.forward import key_number
from engram.search.local.inverted import EVERY
from engram.search.local.scan import best_rows, nearest
from engram.search.local.telling import telling
from engram.store.base import Key

K1, B = 1.2, 0.75
"""BM25's parameters in Tantivy, so that scores of the tail compare with those of the index."""

COMPARED, COMPARED_LEAST = 4, 256
"""Passages whose codes are compared with a query: so many for each row that is wanted, and at least so many."""


@dataclass(frozen=True, slots=True)
class IndexReader:
    """A snapshot of index and tail."""

    index: Snapshot
    tail: DeltaIndex
    tail_last: int
    """The last row of the tail that this reader covers."""
    deleted: Ints
    """Rows of the index that the store's log reports as deleted: shape (m,), sorted."""
    unsearched: int
    """Engrams of all namespaces that neither index nor tail holds; 0 except while a large index is rebuilt."""
    version: int
    """Grows whenever the store changes."""
    unencoded: int = 0
    """Passages that have no vector yet; 0 without an encoder."""
    earliest: int | None = None
    """Engrams of an earlier time are left out like deleted ones: microseconds since 1970, UTC. None: there are none."""

    def since(self, at: int) -> IndexReader:
        """The same reader without the engrams of a time before `at`."""
        return replace(self, earliest=at if self.earliest is None else max(at, self.earliest))

    @property
    def _has_tail(self) -> bool:
        return self.tail_last >= self.tail.first

    def size(self, namespace: int) -> int:
        """Number of engrams of a namespace; in the index, deleted ones count until their segment is merged."""
        size = self.index.inverted.size(namespace)
        return size + len(self._in_view(self.tail.rows(namespace))) if self._has_tail else size

    def frequencies(self, namespace: int, terms: Sequence[str]) -> Ints:
        """For each term, the number of engrams that hold it, counted as in `size`: shape (len(terms),)."""
        counts = self.index.inverted.frequencies(namespace, terms)
        if self._has_tail:
            counts += np.array(self.tail.counts(namespace, terms, self.tail_last), np.int64)
        return counts

    def similar_terms(self, namespace: int, term: str, edits: int) -> dict[str, int]:
        """The terms of a namespace that are 1 to `edits` typing errors away from `term`, with their errors."""
        found = self.index.inverted.similar(namespace, term, edits)
        return found | self.tail.similar(namespace, term, edits) if self._has_tail else found

    def candidates(self, namespace: int, terms: Sequence[str], limit: int) -> Ints:
        """Rows of at most `limit` engrams that hold any of `terms`, best first by BM25."""
        found, rows = self.index.inverted.ranked(namespace, terms, limit)
        # A writer can have committed more than it has published.
        published = rows <= self.index.rows
        rows = rows[published]
        if not self._has_tail:
            return rows
        late, late_scores = self._score_tail(namespace, terms)
        order = (-np.concatenate((np.array(found, np.float64)[published], late_scores))).argsort(kind="stable")
        return np.asarray(np.concatenate((rows, late)).take(order[:limit]))

    def _score_tail(self, namespace: int, terms: Sequence[str]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """The engrams of the tail that hold any of `terms`, and their BM25 scores: shape (m,) each."""
        holding = [self._holding(namespace, term) for term in terms]
        if not any(len(rows) for rows, _ in holding):
            return NONE, np.empty(0)
        inverted, forward = self.index.inverted, self.tail.forward
        # BM25's statistics are those of all namespaces, as they are in the index.
        documents = inverted.documents + len(self.tail)
        tokens = self.index.forward.tokens.size + forward.tokens.size
        # The document in the index has one term more: the bare mark of the namespace.
        typical = tokens / max(documents, 1) + 1
        frequencies = inverted.frequencies(namespace, terms) + np.array([len(rows) for rows, _ in holding])
        rarity = np.log(1 + np.maximum(documents - frequencies + 0.5, 0.5) / (frequencies + 0.5))
        postings = np.concatenate([rows for rows, _ in holding])
        counts = np.concatenate([counts for _, counts in holding])
        lengths = forward.rows.view()["length"].take(postings - forward.first) + 1
        share = counts * (1 + K1) / (counts + K1 * (1 - B + B * lengths / typical))
        worth = rarity.repeat([len(rows) for rows, _ in holding]) * share
        late, turn_of = np.unique(postings, return_inverse=True)
        return np.asarray(late, np.int64), np.asarray(np.bincount(turn_of, worth, len(late)), np.float64)

    def similar(self, namespace: int, vector: Floats, limit: int) -> Ints:
        """Rows of at most `limit` engrams of a namespace whose best passages are nearest to a vector, best first."""
        coder = self.index.forward.vectors.coder
        if not coder.width or limit <= 0:
            return NONE
        query, most = coder.query(vector), max(COMPARED * limit, COMPARED_LEAST)
        while True:
            near = [nearest(self.index.forward, namespace, self.index.coded, query, most)]
            if self._has_tail:
                near.append(nearest(self.tail.forward, namespace, self.tail.forward.vectors.size, query, most))
            rows = np.concatenate([part.rows for part in near])
            shown = self._shown(rows, namespace)
            found = best_rows(rows[shown], np.concatenate([part.similarities for part in near])[shown])
            if len(found) >= limit or all(part.complete for part in near):
                return found[:limit]
            # Many of the nearest are gone, or belong to few engrams.
            most *= 4

    def _shown(self, rows: Ints, namespace: int) -> npt.NDArray[np.bool_]:
        """Which rows name an engram of this reader and the namespace that is neither deleted nor too early."""
        shown = (rows <= self.index.rows) | ((rows >= self.tail.first) & (rows <= self.tail_last))
        columns = self.columns(rows[shown])
        # A damaged passage can name the row of another namespace.
        named = (columns["length"] != GONE) & (columns["namespace"] == namespace)
        shown[shown] = named if self.earliest is None else named & (columns["at"] >= self.earliest)
        return shown & ~np.isin(rows, self.deleted) if len(self.deleted) else shown

    def similarities(self, codes: npt.NDArray[np.uint8], vector: Floats) -> Floats:
        """The cosine between a vector and each passage, by `Turns.codes`: shape (len(codes),)."""
        coder = self.index.forward.vectors.coder
        return coder.similarities(codes, coder.query(vector)) if coder.width else np.zeros(len(codes), np.float32)

    def all_rows(self, namespace: int, limit: int) -> Ints:
        """Rows of at most `limit` engrams of a namespace."""
        rows = self.index.inverted.search(namespace, [EVERY], limit)
        rows = rows[rows <= self.index.rows]
        if self._has_tail:
            rows = np.concatenate((rows, self._in_view(self.tail.rows(namespace))))[:limit]
        return rows

    def rows_between(self, namespace: int, spans: Sequence[Span], limit: int) -> Timed:
        """At most `limit` engrams of a namespace whose time is in any of `spans`, the most telling first."""
        found = self.index.inverted.between(namespace, spans, limit)
        published = found.rows <= self.index.rows
        found = Timed(found.rows[published], found.telling[published])
        if not self._has_tail:
            return found
        rows = self._in_view(self.tail.rows(namespace))
        at, inside = self.tail.forward.columns(rows)["at"], np.zeros(len(rows), np.bool_)
        for start, end in spans:
            inside |= (at >= start) & (at < end)
        late = rows[inside]
        told = np.array([telling(self.tail.entries[row - self.tail.first]) for row in late.tolist()], np.int64)
        joined = Timed(np.concatenate((found.rows, late)), np.concatenate((found.telling, told)))
        order = (-joined.telling).argsort(kind="stable")[:limit]
        return Timed(joined.rows[order], joined.telling[order])

    def columns(self, rows: Ints) -> Array:
        """The columns of the engrams with these rows, in the same order."""
        early = rows <= self.index.rows
        if early.all():
            return self.index.forward.columns(rows)
        # As raw bytes: numpy would copy each field of each row by itself.
        columns, late = np.empty(len(rows), RAW), ~early
        columns[early] = self.index.forward.columns(rows[early]).view(RAW)
        columns[late] = self.tail.forward.columns(rows[late]).view(RAW)
        return columns.view(ROW)

    def take(self, rows: Ints) -> Turns:
        """The engrams with these rows, those of the index first; deleted and too early ones are left out."""
        if len(self.deleted):
            rows = rows[~np.isin(rows, self.deleted)]
        turns = self._taken(rows)
        return turns if self.earliest is None else turns.kept(turns.columns["at"] >= self.earliest)

    def _taken(self, rows: Ints) -> Turns:
        early = self.index.forward.take(rows[rows <= self.index.rows])
        if not self._has_tail:
            return early
        late = rows[(rows >= self.tail.first) & (rows <= self.tail_last)]
        return Turns.joined([early, self.tail.forward.take(late)]) if len(late) else early

    def neighbours(self, rows: Ints) -> Ints:
        """Rows of the turns right before and right after these in their sessions, with repetitions."""
        early, links = rows[rows <= self.index.rows], self.tail.forward.links_from_older
        parts = [self.index.forward.neighbours(early)]
        if len(early) < len(rows):
            parts.append(self.tail.forward.neighbours(rows[rows > self.index.rows]))
        if links:
            # In the index, the last turn of a session has no link to the session's first turn in the tail.
            parts.append(np.array([links[row] for row in early.tolist() if row in links], np.int64))
        return np.concatenate(parts)

    def session_lengths(self, sessions: Ints) -> Ints:
        """Number of tokens of each session, by session number: shape (len(sessions),)."""
        early = self.index.forward.session_tokens(sessions, self.index.rows)
        if not self._has_tail:
            return early
        return np.asarray(early + self.tail.forward.session_tokens(sessions, self.tail_last))

    def seqs(self, rows: Ints) -> Ints:
        """The seq of each row: shape (len(rows),)."""
        early = rows <= self.index.rows
        if early.all():
            return self.index.forward.seqs(rows)
        seqs = np.empty(len(rows), np.int64)
        seqs[early] = self.index.forward.seqs(rows[early])
        seqs[~early] = self.tail.forward.seqs(rows[~early])
        return seqs

    def rows_of(self, namespace: int, seqs: Ints) -> Ints:
        """The rows of the engrams of a namespace with these seqs, in the order of `seqs`; unknown ones are left out."""
        rows = self.index.inverted.rows_of([key_number(Key(namespace, seq)) for seq in seqs.tolist()])
        # The index can hold more than this reader covers.
        rows = rows[rows <= self.index.rows]
        if self._has_tail:
            rows = np.concatenate((rows, self._in_view(self.tail.rows_of(namespace, seqs))))
        row_of = dict(zip(self.seqs(rows).tolist(), rows.tolist(), strict=True))
        return np.array([row_of[seq] for seq in seqs.tolist() if seq in row_of], np.int64)

    def _holding(self, namespace: int, term: str) -> tuple[Ints, Ints]:
        """The engrams of the tail that hold a term, and how often each does."""
        rows, counts = self.tail.holding(namespace, term)
        # The tail may have grown since this reader was made; then its last row is a later one.
        if not len(rows) or self.tail.last == self.tail_last:
            return rows, counts
        visible = self._visible(rows)
        return rows[visible], counts[visible]

    def _in_view(self, rows: Ints) -> Ints:
        return rows[self._visible(rows)]

    def _visible(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Which rows of the tail belong to this reader; the others are newer."""
        return np.asarray(rows <= self.tail_last)
