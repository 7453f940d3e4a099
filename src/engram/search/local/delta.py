"""The tail, or delta index: the engrams that the store's log holds and the index does not hold yet, in RAM.

Owns their forward index, and for each namespace which rows it has and which of them hold a term. The rows continue
those of the index.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from engram.meaning.codes import NO_CODES, Coder, Codes
from engram.search.base import Ints
from engram.search.local.forward import Entry, ForwardIndex, LastRow, key_number
from engram.search.similar import similar

NONE: Ints = np.empty(0, np.int64)


class DeltaIndex:
    """Engrams that the log holds after `start` and up to `cursor`. Its owner serialises the calls that change it."""

    def __init__(
        self,
        first: int,
        start: str,
        token_type: npt.DTypeLike,
        older: LastRow,
        coder: Coder = NO_CODES,
        known: dict[int, Codes] | None = None,
    ) -> None:
        """`first`: the first row. `older`, `coder`: as in `ForwardIndex`. `known`: codes by `key_number`."""
        self.start = start
        self.cursor = start
        self.entries: list[Entry] = []
        self.forward = ForwardIndex(first, token_type, older=older, coder=coder)
        self.unencoded: list[int] = []
        """Rows whose passages have no codes yet, in ascending order; none without an encoder."""
        self.long: list[int] = []
        """Rows without codes that are too long for a reader to encode."""
        self.known = {} if known is None else known
        self.deleted: set[int] = set()
        """`key_number` of every engram that the log reports as deleted after `start`."""
        self._token_type = token_type
        self._rows: dict[int, list[int]] = {}
        self._seqs: dict[int, list[int]] = {}
        self._postings: dict[int, dict[str, tuple[list[int], list[int]]]] = {}
        """By namespace and term: the rows that hold the term, and how often each does."""

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def first(self) -> int:
        """The first row."""
        return self.forward.first

    @property
    def last(self) -> int:
        """The last row; `first` - 1 if there is none."""
        return self.forward.last

    def extend(self, entries: Sequence[Entry], cursor: str) -> None:
        """Append engrams. The tail has then read the log up to `cursor`."""
        first = self.last + 1
        self.forward.extend(entries)
        self.forward.publish_session_ends()
        # After the passages: another thread may be reading, and each code must have a passage.
        if self.forward.vectors.coder.width:
            self._append_codes(entries, first)
        for row, entry in enumerate(entries, first):
            self._rows.setdefault(entry.namespace, []).append(row)
            self._seqs.setdefault(entry.namespace, []).append(entry.seq)
            postings = self._postings.setdefault(entry.namespace, {})
            for term, count in Counter(entry.analysis.terms).items():
                rows, counts = postings.setdefault(term, ([], []))
                # The count first: another thread may be reading, and each row must have a count.
                counts.append(count)
                rows.append(row)
        self.entries += entries
        self.cursor = cursor

    def _append_codes(self, entries: Sequence[Entry], first: int) -> None:
        """Append the known codes of engrams, and empty ones for the others."""
        vectors, parts = self.forward.vectors, list[Codes]()
        for row, entry in enumerate(entries, first):
            codes = self.known.get(key_number(entry.key))
            if codes is None or len(codes) != len(entry.passages):
                self.unencoded.append(row)
                codes = np.zeros((len(entry.passages), vectors.coder.width), np.uint8)
            parts.append(codes)
        if parts:
            vectors.append(np.concatenate(parts))

    def encode(self, row: int, codes: Codes) -> None:
        """Set the codes of the passages of a row."""
        index = row - self.first
        start = int(self.forward.rows.view()["passage"][index])
        self.forward.vectors.put(np.arange(start, start + len(codes)), codes)
        self.known[key_number(self.entries[index].key)] = codes

    def refers_to(self, keys: Collection[int], older: Ints) -> bool:
        """Return whether an engram's `key_number` is in `keys`, or a turn follows one of the rows `older`."""
        links = self.forward.links_from_older
        return any(row in links for row in older.tolist()) or any(key_number(e.key) in keys for e in self.entries)

    def without(self, keys: Collection[int], first: int, older: LastRow) -> DeltaIndex:
        """Return a tail without the engrams whose `key_number` is in `keys`. Its rows begin at `first`."""
        copy = DeltaIndex(first, self.start, self._token_type, older, self.forward.vectors.coder, self.known)
        copy.extend([entry for entry in self.entries if key_number(entry.key) not in keys], self.cursor)
        copy.deleted = self.deleted
        return copy

    def rows(self, namespace: int) -> Ints:
        """Return the rows of a namespace, in ascending order: shape (m,)."""
        return np.array(self._rows.get(namespace, ()), np.int64)

    def rows_of(self, namespace: int, seqs: Ints) -> Ints:
        """Return the rows of the engrams of a namespace with these seqs, in ascending order: shape (m,)."""
        rows = self.rows(namespace)
        known = np.array(self._seqs.get(namespace, ())[: len(rows)], np.int64)
        return rows[: len(known)][np.isin(known, seqs)]

    def similar(self, namespace: int, term: str, edits: int) -> dict[str, int]:
        """Return the terms of a namespace that are 1 to `edits` typing errors away from `term`, with their errors."""
        # A copy, because another thread may be adding terms.
        return similar(list(self._postings.get(namespace, ())), term, edits)

    def counts(self, namespace: int, terms: Sequence[str], last: int) -> list[int]:
        """Return, for each term, the number of rows of a namespace up to `last` that hold it."""
        postings = self._postings.get(namespace, {})
        return [bisect_right(found[0], last) if (found := postings.get(term)) else 0 for term in terms]

    def holding(self, namespace: int, term: str) -> tuple[Ints, Ints]:
        """Return the rows of a namespace that hold a term, in ascending order, and how often each does: shape (m,)."""
        posting = self._postings.get(namespace, {}).get(term)
        if posting is None:
            return NONE, NONE
        rows, counts = posting
        found = np.array(rows, np.int64)
        return found, np.array(counts[: len(found)], np.int64)
