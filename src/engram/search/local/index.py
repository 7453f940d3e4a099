"""What can be recalled: the index, and the tail of the store that it does not hold yet.

Owns the moment at which an engram passes from the tail into the index. Every process that has the memory open has a
corpus of its own; the thread that indexes is `corpus.indexer`'s.
"""

from __future__ import annotations

import threading
import time

import numpy as np

from engram.errors import EngramError, MemoryLocked
from engram.search.base import IndexDamaged, Ints
from engram.search.local.delta import DeltaIndex
from engram.search.local.folder import IndexFolder
from engram.search.local.indexer import WORTH_A_COMMIT, Indexer, entries
from engram.search.local.reader import IndexReader
from engram.store.base import Store
from engram.text.analyzer import Analyzer

TAIL_MOST = 20_000
"""Engrams that the tail holds at most; of more, recall covers the newest and says how many it left out."""

STUCK = 60.0
"""Seconds without any progress after which waiting for another process's indexing is given up."""

POLL = 0.05


class LocalIndex:
    """Store, index and tail as one. Safe to call from several threads."""

    def __init__(self, store: Store, index: IndexFolder, encoder: Analyzer) -> None:
        self._store = store
        self._index = index
        self._encoder = encoder
        self._lock = threading.Lock()
        self._tail = DeltaIndex(index.through, encoder.token_type)
        self._forgets = -1
        self._forgotten: Ints = np.empty(0, np.int64)
        self._indexer = Indexer(store, index, encoder)
        self._check_order()

    @property
    def trouble(self) -> str | None:
        """Why the index could not be kept up, if it could not; recall goes on from the tail."""
        return self._indexer.trouble

    def _check_order(self) -> None:
        """An index that reaches further than its store was made from a later state of it: a backup was put back."""
        last, _ = self._store.version()
        snapshot = self._index.snapshot()
        if snapshot.through > last and self._store.version()[0] < snapshot.through:
            self._index.distrust(snapshot, f"the index reaches {snapshot.through}, but the memory only {last}")
            self._indexer.wake()

    # For recall.

    def view(self) -> IndexReader:
        """The corpus as it is now: whatever has been committed to the store is in it."""
        with self._lock:
            # In this order: what the index is rid of may be left out of `forgotten` only after it is published.
            last, forgets = self._store.version()
            changed = forgets != self._forgets
            if changed:
                self._forgotten = np.array(sorted(self._store.forgotten()), np.int64)
                self._forgets = forgets
            self._index.refresh()
            snapshot = self._index.snapshot()
            tail = self._tail = self._caught_up(snapshot.through, last, changed)
            unsearched = max(0, tail.after - snapshot.through)
            if unsearched or len(tail) >= WORTH_A_COMMIT or self._index.damage or (changed and len(self._forgotten)):
                self._indexer.wake()
            return IndexReader(snapshot, tail, tail.through, self._forgotten, unsearched)

    def damaged(self, view: IndexReader, error: IndexDamaged) -> None:
        """Stop using the index of `view`, which turned out to be damaged, and have it made again."""
        if self._index.distrust(view.index, str(error)):
            self._indexer.log_once(f"{error}; the index is made again")
        self._indexer.wake()

    def _caught_up(self, through: int, last: int, forgotten: bool) -> DeltaIndex:
        """The tail as it must be for an index up to `through` and a store up to `last`."""
        tail, previous = self._tail, self._store.previous_in_session
        start = max(through, last - TAIL_MOST)
        if start < tail.after:
            # The index went back (a new one is being filled): the tail must begin where it ends.
            tail = DeltaIndex(start, self._encoder.token_type)
        elif forgotten:
            tail = tail.rest(start, previous, set(self._store.seqs(tail.after)))
        elif tail.after < start and (tail.after < through or len(tail) > 2 * TAIL_MOST):
            tail = tail.rest(start, previous)
        if tail.through < start:
            tail = DeltaIndex(start, self._encoder.token_type)
        while tail.through < last:
            records = self._store.records(tail.through, 2_000)
            tail.extend(entries(records, self._encoder), records[-1].seq if records else last, previous)
        return tail

    # For those who write.

    def added(self, count: int) -> None:
        """Some engrams have been remembered: index them when they are worth it."""
        self._indexer.added(count)

    def forgot(self) -> None:
        """Something has been forgotten: have it taken out of the index, if there is one."""
        if self._index.generations():
            self._indexer.wake()

    # For those who wait for the index.

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that is now in the store is indexed; False if it was not within `timeout` seconds.

        Raises `EngramError` if the index cannot be written, `MemoryLocked` if another process keeps it and gets
        nowhere.
        """
        target, _ = self._store.version()
        return self._wait(target, "", 0, timeout)

    def rebuild(self, timeout: float | None = None) -> bool:
        """Make the index again from the store and wait for it, as `flush` does."""
        self._index.refresh()
        target, _ = self._store.version()
        return self._wait(target, self._index.published[0], 0, timeout)

    def purge(self) -> None:
        """Leave nothing in the index of what was forgotten until now."""
        self._index.refresh()
        _, forgets = self._store.version()
        before = self._index.generations()
        # One begun since then, published or not, never held it.
        if not before or (self._index.published[0] and self._index.published[1] >= forgets):
            return
        self._wait(0, "", forgets, None)
        # The thread, or another process, deletes the old one right after it shows the new one.
        deadline = time.monotonic() + STUCK
        while left := set(before).intersection(self._index.generations()) - {self._index.published[0]}:
            if time.monotonic() > deadline:
                break
            time.sleep(POLL)
        if left:
            raise EngramError(f"{self._index.folder}: {', '.join(sorted(left))} could not be deleted; do it by hand")

    def _wait(self, target: int, not_this: str, forgets: int, timeout: float | None) -> bool:
        """Wait until the index reaches `target`, in another generation than `not_this`, begun after `forgets`."""
        indexer, index, begun = self._indexer, self._index, time.monotonic()
        # A step that is under way may fail for a reason that no longer holds, such as a full disk: later ones count.
        attempts, moved, last_seen = indexer.attempts, begun, None
        indexer.demand(not_this, forgets)
        while True:
            index.refresh()
            (name, since), through = index.published, index.through
            current = name != not_this if not_this else True
            if through >= target and current and since >= forgets and not index.damage and not self._store.forgotten():
                return True
            if self._store.read_only or indexer.closing:
                return False
            if indexer.failed_attempt > attempts:
                raise EngramError(f"the index cannot be written: {indexer.trouble}")
            now = time.monotonic()
            if timeout is not None and now > begun + timeout:
                return False
            seen = (name, through, indexer.steps)
            moved, last_seen = (now, seen) if seen != last_seen else (moved, last_seen)
            if now > moved + STUCK:
                raise MemoryLocked(f"{index.folder}: another process keeps the index and gets nowhere; end it")
            indexer.wake(urgent=True)
            indexer.wait(POLL)

    def close(self, quick: bool = False) -> None:
        """Stop the thread; what is worth it is indexed first, unless `quick`."""
        self._indexer.close(quick)
