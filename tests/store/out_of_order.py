"""A store for tests whose engrams become visible in another order than that of their seqs.

It simulates a database with several writers and one sequence: a writer draws the seq first and commits later, so a
writer of another namespace can commit before it. Within a namespace, commits keep the order of the seqs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from engram.engram import Engram
from engram.store.base import NONE_OPEN, OpenFields, Record
from engram.store.memory import Entry, MemoryStore


class OutOfOrderStore(MemoryStore):
    """A `MemoryStore` with one sequence for all namespaces, and with commits that the test triggers."""

    def __init__(self) -> None:
        super().__init__()
        self._last_seq = 0
        self._uncommitted: dict[str, deque[Entry]] = {}

    def begin(self, engram: Engram) -> None:
        """Give an engram its seq without making it visible."""
        with self._open():
            self._uncommitted.setdefault(engram.namespace, deque()).append(Entry(engram, self._record(engram)))

    def commit(self, namespace: str) -> Engram | None:
        """Make the oldest uncommitted engram of a namespace visible and return it; None if all are committed."""
        with self._open():
            pending = self._uncommitted.get(namespace)
            if not pending:
                return None
            entry = pending.popleft()
            self._commit(entry)
            return entry.engram

    def append(self, engrams: Sequence[Engram], open_fields: OpenFields = NONE_OPEN) -> list[bool]:
        """Append engrams after the uncommitted ones of their namespaces."""
        for namespace in {engram.namespace for engram in engrams}:
            while self.commit(namespace):
                pass
        return super().append(engrams, open_fields)

    def _record(self, engram: Engram) -> Record:
        self._last_seq += 1
        return super()._record(engram)._replace(seq=self._last_seq)

    def _drop_unused_names(self) -> None:
        """Delete no names, because an uncommitted engram may use them."""
