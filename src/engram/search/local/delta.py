"""The tail: the engrams that the store holds and the index does not yet, in RAM, in the form that the index has.

Owns their columns and, for each namespace, which of them are its. What stands here is scanned whole on recall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence

import numpy as np
import numpy.typing as npt

from engram.search.base import Ints
from engram.search.local.forward import Entry, ForwardIndex, Previous

NONE: Ints = np.empty(0, np.int64)


class DeltaIndex:
    """Engrams with a seq over `after`, up to `through`. Its owner serialises the calls that change it."""

    def __init__(self, after: int, token_type: npt.DTypeLike) -> None:
        self.after = after
        self.through = after
        self._token_type = token_type
        self.columns = ForwardIndex(after + 1, token_type)
        self._entries: list[Entry] = []
        self._seqs: dict[int, list[int]] = {}
        self._holding: dict[int, dict[str, tuple[list[int], list[int]]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def extend(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with a seq over `self.through`, lowest first; it then reaches `through`."""
        self.columns.extend(entries, through, previous_in_session)
        self.columns.settle()
        for entry in entries:
            self._seqs.setdefault(entry.namespace, []).append(entry.seq)
            holding = self._holding.setdefault(entry.namespace, {})
            for term, count in Counter(entry.analysis.terms).items():
                seqs, counts = holding.setdefault(term, ([], []))
                # The count first: another thread may be reading, and each seq must have one.
                counts.append(count)
                seqs.append(entry.seq)
        self._entries += entries
        self.through = through

    def rest(self, after: int, previous_in_session: Previous, present: Container[int] | None = None) -> DeltaIndex:
        """A tail with those over `after` only, and of them those that are `present`, their neighbours joined anew."""
        rest = DeltaIndex(max(after, self.after), self._token_type)
        left = [e for e in self._entries if e.seq > after and (present is None or e.seq in present)]
        rest.extend(left, max(self.through, after), previous_in_session)
        return rest

    def seqs(self, namespace: int) -> Ints:
        """Those of one namespace, lowest first."""
        return np.array(self._seqs.get(namespace, ()), dtype=np.int64)

    def holding(self, namespace: int, term: str) -> tuple[Ints, Ints]:
        """Those of one namespace that hold a term, lowest first, and how often each does."""
        postings = self._holding.get(namespace, {}).get(term)
        if postings is None:
            return NONE, NONE
        seqs = np.array(postings[0], dtype=np.int64)
        return seqs, np.array(postings[1][: len(seqs)], dtype=np.int64)
