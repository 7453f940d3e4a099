"""The tail: the engrams that the store holds and the index does not yet, in RAM, in the form that the index has.

Owns their columns and, for each namespace, which of them are its. What stands here is scanned whole on recall.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engram.index.columns import Columns, Entry, Ints, Previous


class Tail:
    """Engrams with a seq over `after`, up to `through`. Its owner serialises the calls that change it."""

    def __init__(self, after: int, token_type: npt.DTypeLike) -> None:
        self.after = after
        self.through = after
        self._token_type = token_type
        self.columns = Columns(after + 1, token_type)
        self._entries: list[Entry] = []
        self._seqs: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def extend(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with a seq over `self.through`, lowest first; it then reaches `through`."""
        self.columns.extend(entries, through, previous_in_session)
        for entry in entries:
            self._seqs.setdefault(entry.namespace, []).append(entry.seq)
        self._entries += entries
        self.through = through

    def drop(self, seq: int) -> None:
        """Take out an engram that was forgotten."""
        if self.after < seq <= self.through:
            self.columns.drop(seq)

    def after_index(self, after: int, previous_in_session: Previous) -> Tail:
        """A tail without the engrams up to `after`, which the index has now."""
        rest = Tail(max(after, self.after), self._token_type)
        gone = self.columns.gone()
        left = [e for e in self._entries if e.seq > after and e.seq not in gone]
        rest.extend(left, max(self.through, after), previous_in_session)
        return rest

    def seqs(self, namespace: int) -> Ints:
        """Those of one namespace, lowest first."""
        return np.array(self._seqs.get(namespace, ()), dtype=np.int64)
