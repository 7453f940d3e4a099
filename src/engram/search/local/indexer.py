"""The indexer: one thread that brings the index up to what the store holds.

Owns when that is done and what happens when it cannot be. The index's writer lock is one process's at a time; it is
let go when there is nothing to do, or when another process asks for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engram.errors import MemoryClosed
from engram.search.base import IndexDamaged
from engram.search.local.damage import is_panic
from engram.search.local.folder import IndexFolder
from engram.search.local.forward import Entry
from engram.store.base import Record, Store
from engram.text.analyzer import Analyzer

log = logging.getLogger("engram")

BATCH = 20_000
"""Engrams indexed by one commit when many wait."""

WORTH_A_COMMIT = 256
"""Engrams that are indexed without being asked for; recall scans fewer just as fast."""

BULK = 4_000
"""Engrams from which on the next commit does not wait for more."""

PATIENCE = 0.5
"""Seconds that fewer are waited with, in case more come; and that the writer lock is kept when idle."""

RETRY = 0.2
"""Seconds until the writer lock is tried again when it is another's."""

LONGEST_RETRY = 60.0
"""Seconds between two tries when the index cannot be written, at most."""

TOKENS_AT_ONCE = 20_000
"""Tokens whose vectors are summed in one go."""

TRIES = 3
"""Failures in a row after which the generation itself is doubted and a new one begun."""


def entries(records: Sequence[Record], encoder: Analyzer) -> list[Entry]:
    """The store's records, analysed."""
    analyses = [encoder.analyse(record.text) for record in records]
    centroids: list[npt.NDArray[np.int8]] = []
    start = waiting = 0
    for place, analysis in enumerate(analyses):
        waiting += len(analysis.ids)
        # Some at a time: each token takes a vector of room.
        if waiting >= TOKENS_AT_ONCE or place + 1 == len(analyses):
            centroids += list(encoder.centroids([a.ids for a in analyses[start : place + 1]]))
            start, waiting = place + 1, 0
    return [Entry(*r[:-1], a, c) for r, a, c in zip(records, analyses, centroids, strict=True)]


class Indexer:
    """The thread, started when there is something to do. Safe to call from several threads."""

    def __init__(self, store: Store, index: IndexFolder, encoder: Analyzer) -> None:
        self._store = store
        self._index = index
        self._encoder = encoder
        self._turn = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due = False
        self._urgent = False
        self._added = max(0, store.version()[0] - index.through)
        self._not_this = ""
        self._least_forgets = 0
        self._row = 0
        self._logged: set[str] = set()
        self.closing = False
        self.trouble: str | None = None
        """Why the index could not be kept up at the last try, if it could not."""
        self.attempts = 0
        """Number of indexing steps begun."""
        self.failed_attempt = 0
        """Which of them was the last that failed; 0 if none did."""
        self.steps = 0
        """How often it could."""

    # From other threads.

    def added(self, count: int) -> None:
        """Count what was remembered, and begin when it is worth it."""
        self._added += count
        if self._added >= WORTH_A_COMMIT and (not self._due or self._added >= BULK):
            self.wake()

    def demand(self, not_this: str, forgets: int) -> None:
        """Have a generation other than the one of this name (""), begun when `forgets` had been forgotten."""
        with self._turn:
            self._not_this = not_this or self._not_this
            self._least_forgets = max(self._least_forgets, forgets)

    def wake(self, urgent: bool = False) -> None:
        """Bring the index up to date in the background; `urgent`: without waiting for more to come."""
        if self._store.read_only:
            return
        with self._turn:
            if self.closing:
                return
            self._due = True
            self._urgent = self._urgent or urgent
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engram-indexer", daemon=True)
                self._thread.start()
            self._turn.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until something has been done, or so long."""
        with self._turn:
            self._turn.wait(seconds)

    def log_once(self, message: str) -> None:
        """Warn of something that would be said again and again until it is mended."""
        if message not in self._logged:
            self._logged.add(message)
            log.warning(message)

    def close(self, quick: bool = False) -> None:
        """Stop the thread; one batch that is worth it is indexed first, unless `quick` or nothing is kept on disk."""
        if not quick and self._index.folder is not None and self._added >= WORTH_A_COMMIT and not self.trouble:
            self.wake(urgent=True)
        with self._turn:
            self.closing = True
            self._due = self._due and not quick
            self._turn.notify_all()
        # Closed by the collector of garbage it may be this thread itself.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # The thread.

    def _run(self) -> None:
        delay = 0.0
        try:
            while self._wait_for_work(delay):
                delay = self._try()
                with self._turn:
                    self._turn.notify_all()
        finally:
            self._index.stop_writing()

    def _wait_for_work(self, delay: float) -> bool:
        """Wait until there is something to index, and at least `delay` seconds; False to end."""
        turn = self._turn
        with turn:
            if delay:
                turn.wait_for(lambda: self._urgent or self.closing, delay)
                if self.closing:
                    return False
                self._due = True
            idle = not turn.wait_for(lambda: self._due or self.closing, PATIENCE)
        if idle:
            # Outside of `turn`, since it can take a while.
            self._index.stop_writing()
        with turn:
            turn.wait_for(lambda: self._due or self.closing)
            turn.wait_for(lambda: self._urgent or self.closing or self._added >= BULK, PATIENCE)
            due, self._due, self._urgent = self._due, False, False
            return due

    def _try(self) -> float:
        """One step; returns the seconds to wait before the next is tried, 0 if it went well."""
        self.attempts += 1
        try:
            if self._index.is_lost():
                self._index.abandon()
            if not self._index.start_writing():
                return self._wait_for_lock()
            more = self._step()
        except MemoryClosed:
            return LONGEST_RETRY
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            return self._failed(error)
        self.steps += 1
        self.trouble, self._row = None, 0
        if self._index.is_asked_for_lock() and not self._index.aside:
            self._index.stop_writing()
            time.sleep(RETRY / 2)
        if more:
            with self._turn:
                self._due = self._urgent = not self.closing
        return 0.0

    def _wait_for_lock(self) -> float:
        """The lock is another process's, which perhaps does the work: see whether any is left."""
        self._index.refresh()
        last, _ = self._store.version()
        if self._index.through >= last and not self._must_begin() and not self._store.forgotten():
            self._added = 0
            return 0.0
        self._index.ask_for_lock()
        return RETRY

    def _failed(self, error: BaseException) -> float:
        reason = f"{type(error).__name__}: {error}"
        self.log_once(f"the index could not be kept up, recall goes on from the tail: {reason}")
        log.debug("the index could not be kept up", exc_info=error)
        self._index.abandon()
        self._row += 1
        if self._row % TRIES == 0:
            # Perhaps what is there cannot be gone on with. It is shown until a new one is whole.
            self.demand(self._index.published[0], 0)
        self.trouble = reason
        self.failed_attempt = self.attempts
        return 0.05 if isinstance(error, IndexDamaged) and self._row == 1 else min(LONGEST_RETRY, 0.25 * 2**self._row)

    def _must_begin(self) -> bool:
        name, forgets = self._index.newest
        return name == "" or name == self._not_this or forgets < self._least_forgets

    def _step(self) -> bool:
        """Index one batch; True if there is more to do."""
        index, store = self._index, self._store
        last, forgets = store.version()
        if index.target is None or self._must_begin():
            index.begin(forgets)
        target = index.target
        assert target is not None
        forgotten = store.forgotten()
        changed = index.drop(forgotten)
        records = store.records(target.through, BATCH)
        reach = records[-1].seq if records else last
        if reach > target.through:
            self._added = 0
            index.add(entries(records, self._encoder), reach, store.previous_in_session)
            changed = True
        caught_up = target.through >= store.version()[0]
        # One that is filled aside is shown when it is whole, unless there is nothing else to show.
        if (caught_up or not index.aside or not index.through) and (changed or index.aside):
            index.publish()
        if forgotten and not index.aside:
            store.clear_forgotten(forgotten)
        return not caught_up
