"""A view: everything that one recall looks at, index and tail, as it was at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engram.search.local.build import Snapshot
from engram.search.local.delta import DeltaIndex
from engram.search.local.forward import Ints, Turns


@dataclass(frozen=True, slots=True)
class IndexReader:
    """Index and tail as one. An engram stands in one of them: in the index up to `index.through`."""

    index: Snapshot
    tail: DeltaIndex
    tail_through: int
    """The highest seq that this view holds."""
    forgotten: Ints
    """Seqs that are gone from the store and perhaps not yet from the index: shape (m,)."""
    unsearched: int
    """Engrams, in all namespaces, that neither the index nor the tail holds; 0 but while a large index is rebuilt."""

    def take(self, seqs: Ints) -> Turns:
        """The engrams among `seqs`, index before tail; forgotten ones are left out."""
        if len(self.forgotten):
            seqs = seqs[~np.isin(seqs, self.forgotten)]
        through = self.index.through
        early = self.index.columns.take(seqs[seqs <= through])
        if self.tail_through <= through:
            return early
        late = seqs[(seqs > max(self.tail.after, through)) & (seqs <= self.tail_through)]
        return Turns.joined([early, self.tail.columns.take(late)]) if len(late) else early

    def tail_seqs(self, namespace: int) -> Ints:
        """The engrams of a namespace that the index does not hold."""
        return self._late(self.tail.seqs(namespace))

    def tail_holding(self, namespace: int, terms: Sequence[str]) -> list[Ints]:
        """For each term, those of them that hold it."""
        found = [self.tail.holding(namespace, term) for term in terms]
        return [self._late(seqs) if len(seqs) else seqs for seqs in found]

    def _late(self, seqs: Ints) -> Ints:
        seqs = seqs[(seqs > self.index.through) & (seqs <= self.tail_through)]
        return seqs[~np.isin(seqs, self.forgotten)] if len(self.forgotten) else seqs

    def session_tokens(self, sessions: Ints) -> Ints:
        """How many tokens each of some sessions has, by their numbers: shape (len(sessions),)."""
        early = self.index.columns.session_tokens(sessions, self.index.through)
        if self.tail_through <= self.index.through:
            return early
        return early + self.tail.columns.session_tokens(sessions, self.tail_through)

    def beside(self, seqs: Ints) -> Ints:
        """The seqs of the turns right before and right after these in their sessions."""
        early, follows = seqs[seqs <= self.index.through], self.tail.columns.follows
        parts = [self.index.columns.beside(early)]
        if len(early) < len(seqs):
            parts.append(self.tail.columns.beside(seqs[seqs > self.index.through]))
        if follows:
            # The last turn that the index has of a session does not know the first in the tail.
            parts.append(np.array([follows[seq] for seq in early.tolist() if seq in follows], np.int64))
        return np.concatenate(parts)
