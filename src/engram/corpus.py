"""What can be recalled: the index and the tail of the store that it does not hold yet, kept up in the background.

Owns the one thread that indexes, and the moment at which an engram passes from the tail into the index. Every process
that has the memory open has a corpus of its own; the index's writer lock is one process's at a time, and is let go
when there is nothing to do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from engram.encode import Encoder
from engram.errors import EngramError, MemoryClosed
from engram.index import Entry, Index, IndexDamaged, Tail, View, damage_noticed
from engram.store import Record, Store

log = logging.getLogger("engram")

BATCH = 20_000
"""Engrams indexed by one commit when many wait."""

TAIL_MOST = 20_000
"""Engrams that the tail holds at most; of more, recall covers the newest and says how many it left out."""

WORTH_A_COMMIT = 256
"""Engrams in the tail from which on it is indexed without waiting for more."""

PATIENCE = 1.0
"""Seconds that fewer are left in the tail, in case more come; and that the writer lock is kept when idle."""


class Corpus:
    """Store, index and tail as one. Safe to call from several threads."""

    def __init__(self, store: Store, index: Index, encoder: Encoder) -> None:
        self._store = store
        self._index = index
        self._encoder = encoder
        self._lock = threading.RLock()
        self._tail = Tail(index.through, encoder.token_type)
        self._forgets = -1
        self._forgotten: frozenset[int] = frozenset()
        self._unsearched = 0
        # The indexing thread.
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._urgent = False
        self._closing = False
        self._rebuild = False
        self.trouble: str | None = None
        """Why the index could not be kept up, if it could not; recall goes on from the tail."""

    # For recall.

    def view(self) -> View:
        """The corpus as it is now: whatever has been committed to the store is in it."""
        with self._lock:
            self._catch_up()
            if self._unsearched or len(self._tail) >= WORTH_A_COMMIT or self._index.damage:
                self.wake()
            tail = self._tail
            return View(self._index.snapshot(), tail, tail.through, self._forgotten, self._unsearched)

    def damaged(self, error: IndexDamaged) -> None:
        """Stop using the index, which turned out to be damaged, and have it rebuilt."""
        with self._lock:
            log.warning("%s; it is being rebuilt", error)
            self._index.fail(str(error))
            self._rebuild = True
            self._tail = Tail(0, self._encoder.token_type)
        self.wake()

    def _catch_up(self) -> None:
        self._index.refresh()
        last, forgets = self._store.version()
        if forgets != self._forgets:
            # Read after the version: a later forgetting is seen next time.
            self._forgets = forgets
            self._forgotten = frozenset(self._store.forgotten())
            for seq in self._forgotten:
                self._tail.drop(seq)
        through = self._index.through
        if through < self._tail.after and last - through <= TAIL_MOST:
            # The index went back (it was rebuilt): the tail must begin where the index ends.
            self._tail = Tail(through, self._encoder.token_type)
        elif through > self._tail.after:
            self._tail = self._tail.after_index(through, self._store.previous_in_session)
        if last - self._tail.through > TAIL_MOST:
            self._tail = Tail(last - TAIL_MOST, self._encoder.token_type)
        while self._tail.through < last:
            records = self._store.records(self._tail.through, 2_000)
            reached = records[-1].seq if len(records) == 2_000 else max(last, records[-1].seq if records else last)
            self._tail.extend(self._entries(records), reached, self._store.previous_in_session)
        self._unsearched = max(0, self._tail.after - through)

    def _entries(self, records: Sequence[Record]) -> list[Entry]:
        analyse = self._encoder.analyse
        return [Entry(*r[:-1], analyse(r.text)) for r in records]

    # For those who wait for the index.

    def wake(self, urgent: bool = False) -> None:
        """Have the tail indexed in the background; `urgent`: without waiting for more to come."""
        if self._store.read_only:
            return
        with self._turn:
            if self._closing:
                return
            self._wanted = True
            self._urgent = self._urgent or urgent
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engram-indexer", daemon=True)
                self._thread.start()
            self._turn.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that is now in the store is indexed; False if it was not within `timeout` seconds.

        Raises `EngramError` if the index cannot be written at all.
        """
        target, _ = self._store.version()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                self._index.refresh()
                done = self._index.through >= target and not self._rebuild and not self._store.forgotten()
            if done:
                return True
            if self._store.read_only or self._closing:
                return False
            if self.trouble is not None:
                raise EngramError(f"the index cannot be written: {self.trouble}")
            if deadline is not None and time.monotonic() > deadline:
                return False
            self.wake(urgent=True)
            with self._turn:
                self._turn.wait(0.05)

    def rebuild(self, timeout: float | None = None) -> bool:
        """Make the index again from the store and wait for it, as `flush` does."""
        self._rebuild = True
        self.trouble = None
        return self.flush(timeout)

    def close(self) -> None:
        """Stop the thread; a tail that is worth it is indexed first."""
        worth = len(self._tail) >= WORTH_A_COMMIT or self._thread is not None
        if worth and not self._store.read_only and self.trouble is None and not self._unsearched:
            self.wake(urgent=True)
        with self._turn:
            self._closing = True
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._index.stop_writing()

    # The thread.

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                more = self._keep_up()
                self.trouble = None
            except MemoryClosed:
                return
            except Exception as error:  # noqa: BLE001  the edge of a thread: it must not die silently
                log.exception("the index could not be kept up; recall goes on from the tail")
                self.trouble = f"{type(error).__name__}: {error}"
                more = False
            with self._turn:
                self._wanted = self._wanted or more
                self._turn.notify_all()

    def _wait_for_work(self) -> bool:
        """Wait until there is something to index; False when closing and there is not."""
        with self._turn:
            idle = self._turn.wait_for(lambda: self._wanted or self._closing, timeout=PATIENCE)
            if not idle and not self._closing:
                self._index.stop_writing()
                self._turn.wait_for(lambda: self._wanted or self._closing)
            if self._closing and not self._wanted:
                return False
            if not self._urgent:
                self._turn.wait_for(lambda: self._urgent or self._closing or self._is_worth(), timeout=PATIENCE)
            self._wanted = self._urgent = False
            return True

    def _is_worth(self) -> bool:
        return len(self._tail) >= WORTH_A_COMMIT or self._unsearched > 0 or self._rebuild

    def _keep_up(self) -> bool:
        """One step of indexing; True if there is more to do."""
        index, store = self._index, self._store
        if not index.writing:
            with self._lock:
                if not index.start_writing():
                    return False
        if self._rebuild:
            with self._lock:
                index.reset()
                self._tail = Tail(index.through, self._encoder.token_type)
                self._rebuild = False
        forgotten = store.forgotten()
        if forgotten:
            with damage_noticed():
                index.drop(forgotten)
            store.clear_forgotten(forgotten)
        last, _ = store.version()
        if last <= index.through:
            return False
        records = store.records(index.through, BATCH)
        through = records[-1].seq if len(records) == BATCH else max(last, records[-1].seq if records else 0)
        index.add(self._entries(records), through, store.previous_in_session)
        return index.through < store.version()[0]
