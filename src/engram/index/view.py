"""A view: everything that one recall looks at, index and tail, as it was at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engram.index.columns import Ints, Turns
from engram.index.generation import Snapshot
from engram.index.tail import Tail


@dataclass(frozen=True, slots=True)
class View:
    """Index and tail as one. An engram stands in one of them: in the index up to `index.through`."""

    index: Snapshot
    tail: Tail
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
        parts = [self.index.columns.take(seqs[seqs <= through])]
        late = seqs[(seqs > max(self.tail.after, through)) & (seqs <= self.tail_through)]
        if len(late):
            parts.append(self.tail.columns.take(late))
        return Turns.joined(parts)

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
        late = self.tail.columns.session_tokens(sessions, self.tail_through)
        return self.index.columns.session_tokens(sessions, self.index.through) + late

    def neighbours(self, turns: Turns) -> Ints:
        """The seqs of the turns right before and right after those of `turns` in their sessions."""
        following = turns.rows["next"].astype(np.int64)
        follows = self.tail.columns.follows
        if follows:
            # The last turn that the index has of a session does not know the first in the tail.
            ends = np.flatnonzero(following == 0)
            following[ends] = [follows.get(seq, 0) for seq in turns.seqs[ends].tolist()]
        found = np.concatenate((turns.rows["previous"], following))
        return np.asarray(found[found > 0], dtype=np.int64)
