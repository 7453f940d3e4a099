"""The indexer: one thread that applies the store's log to the index.

Owns when the log is read, and what happens if the index cannot be written. One process at a time writes to an index;
its thread releases the writer lock when there is nothing to do, and when another process waits for the lock.
"""

from __future__ import annotations

import logging
import threading
import time

from engram.errors import MemoryClosed
from engram.search.base import IndexDamaged
from engram.search.local.damage import is_panic
from engram.search.local.entries import analysed
from engram.search.local.folder import Build, IndexFolder
from engram.search.local.pending import ENCODED_AT_ONCE, FEW, Backlog
from engram.store.base import Changes, CursorExpired, LoggedStore
from engram.text.base import Analyzer

log = logging.getLogger("engram")

BATCH = 20_000
"""Engrams that one commit indexes at most."""

WORTH_A_COMMIT = 256
"""Engrams that are indexed without a request; recall scans fewer just as fast."""

BULK = 4_000
"""Engrams at which indexing begins without a pause for more."""

PATIENCE = 0.5
"""Seconds for which the thread waits for more engrams, and for which it keeps the writer lock when idle."""

RETRY = 0.2
"""Seconds between two attempts to get the writer lock from another process."""

LONG_RETRY = 5 * RETRY
"""Seconds between two attempts if only codes are missing."""

STUCK = 60.0
"""Seconds without progress after which a process that holds the writer lock is a trouble."""

LONGEST_RETRY = 60.0
"""Greatest number of seconds between two attempts to write the index."""

TRIES = 3
"""Failures in succession after which the build itself is given up and a new one is begun."""


FEW_CODES = 8 * ENCODED_AT_ONCE
"""Passages that are encoded before their words are published: they take a fraction of a second."""

WORTH_CLOSING = 32
"""Engrams that a process which encodes indexes when the memory is closed: the next process would encode them again."""

SOON = 2.0
"""Seconds after which more than `FEW` engrams are indexed: a reader encodes no more than `FEW` itself."""


class Indexer:
    """The thread; it starts when there is something to do. Safe to use from several threads."""

    def __init__(
        self,
        store: LoggedStore,
        folder: IndexFolder,
        analyzer: Analyzer,
        backlog: Backlog,
    ) -> None:
        self._backlog = backlog
        self._store = store
        self._folder = folder
        self._analyzer = analyzer
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._due = False
        self._urgent = False
        self._later: float | None = None
        """When the index is brought up to date although few engrams are missing, by the monotonic clock."""
        self._added = max(0, store.distance(folder.snapshot().cursor, store.head()).appended)
        self._rejected = ""
        self._purged = ""
        self._failures_in_succession = 0
        self._progress: object = None
        """What the process that holds the writer lock had done when it was last seen to make progress."""
        self._progress_at = 0.0
        self._logged: set[str] = set()
        self.closing = False
        self.trouble: str | None = None
        """Why the last attempt to write the index failed, or who keeps this process from it; None if all is well."""
        self.attempts = 0
        """Number of attempts begun."""
        self.failed_attempt = 0
        """Number of the last attempt that failed; 0 if none did."""

    # Called by other threads.

    def added(self, count: int) -> None:
        """Count appended engrams, and start to index when there are enough."""
        self._added += count
        if self._added >= WORTH_A_COMMIT and (not self._due or self._added >= BULK):
            self.wake()
        elif self._backlog.has_encoder and self._added > FEW:
            self.wake(later=True)

    def demand(self, *, rejected: str = "", purged: str = "") -> None:
        """Demand another build than `rejected`, and one that was begun after the deletions up to `purged`, a cursor."""
        with self._condition:
            self._rejected = rejected or self._rejected
            if purged and self._store.distance(self._purged, purged).deleted > 0:
                self._purged = purged

    def accepts(self, build: Build) -> bool:
        """Return whether a build meets the demands."""
        rejected = self._rejected and build.name in ("", self._rejected)
        return not rejected and self._store.distance(build.begun, self._purged).deleted <= 0

    def wake(self, urgent: bool = False, *, later: bool = False) -> None:
        """Bring the index up to date in the background; if `urgent`, without a pause for more engrams.

        later: only after `SOON` seconds.
        """
        if self._store.read_only:
            return
        with self._condition:
            if self.closing:
                return
            if not later:
                self._due = True
            elif self._later is None:
                self._later = time.monotonic() + SOON
            self._urgent = self._urgent or urgent
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="engram-indexer", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until the thread has made an attempt, at most for `seconds`."""
        with self._condition:
            self._condition.wait(seconds)

    def log_once(self, message: str) -> None:
        """Log a warning, each text once."""
        if message not in self._logged:
            self._logged.add(message)
            log.warning(message)

    def close(self, quick: bool = False) -> None:
        """Stop the thread. Indexes one batch first if it is worth it, unless `quick` or the index is in RAM."""
        if not quick and self._folder.folder is not None and self._is_worth_a_commit() and not self.trouble:
            self.wake(urgent=True)
        with self._condition:
            self.closing = True
            self._due = self._due and not quick
            self._condition.notify_all()
        # The garbage collector can call this on the thread itself.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _is_worth_a_commit(self) -> bool:
        """Whether a memory that is closed should index first. Only a process that has loaded the encoder encodes."""
        encodes = self._backlog.used
        return self._added >= (WORTH_CLOSING if encodes else WORTH_A_COMMIT) or (
            encodes and self._backlog.left(self._folder.snapshot()) > 0
        )

    # The thread.

    def _run(self) -> None:
        delay = 0.0
        try:
            while self._wait_for_work(delay):
                delay = self._try()
                with self._condition:
                    self._condition.notify_all()
        finally:
            self._folder.stop_writing()

    def _wait_for_work(self, delay: float) -> bool:
        """Wait until there is something to index, and at least `delay` seconds; False to end the thread."""
        condition = self._condition
        with condition:
            if delay:
                condition.wait_for(lambda: self._urgent or self.closing, delay)
                if self.closing:
                    return False
                self._due = True
            idle = not condition.wait_for(self._is_due, PATIENCE)
        if idle:
            # Outside the condition, because it can take long.
            self._folder.stop_writing()
        with condition:
            while not self._is_due():
                condition.wait(None if self._later is None else max(0.0, self._later - time.monotonic()))
            condition.wait_for(lambda: self._urgent or self.closing or self._added >= BULK, PATIENCE)
            due, self._due, self._urgent, self._later = self._due, False, False, None
            return due

    def _is_due(self) -> bool:
        """Whether the thread has something to do."""
        self._due = self._due or (self._later is not None and time.monotonic() >= self._later)
        return self._due or self.closing

    def _try(self) -> float:
        """Index one batch. Returns the seconds until the next attempt; 0 if this one succeeded."""
        self.attempts += 1
        try:
            if self._folder.is_lost():
                self._folder.abandon()
            if not self._folder.start_writing():
                return self._wait_for_lock()
            more = self._step()
        except MemoryClosed:
            return LONGEST_RETRY
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            return self._failed(error)
        self.trouble, self._progress, self._failures_in_succession = None, None, 0
        if self._folder.is_asked_for_lock() and not self._folder.aside:
            self._folder.stop_writing()
            time.sleep(RETRY / 2)
        if more:
            with self._condition:
                self._due = self._urgent = not self.closing
        return 0.0

    def _wait_for_lock(self) -> float:
        """Return the seconds until the next attempt: 0 if the process that has the lock has done the work."""
        self._folder.refresh()
        snapshot = self._folder.snapshot()
        behind = self._store.distance(snapshot.cursor, self._store.head())
        if max(behind) <= 0 and self.accepts(self._folder.published):
            self._added = 0
            self.trouble = self._progress = None
            # The process that has the lock may be encoding.
            return LONG_RETRY if self._backlog.left(snapshot) else 0.0
        self._folder.ask_for_lock()
        self._look_for_progress()
        return RETRY

    def _look_for_progress(self) -> None:
        """Name the process that holds the writer lock and does nothing, and take it over if it is stopped."""
        now, progress = time.monotonic(), self._folder.activity()
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
            self.trouble = None
        elif now > self._progress_at + STUCK:
            holder = self._folder.holder()
            trouble = f"no progress for {STUCK:g} s: {holder or 'another process holds the index; end it'}"
            self.log_once(trouble)
            self.trouble = None if holder is not None and self._folder.take_over(holder) else trouble

    def _failed(self, error: BaseException) -> float:
        """Note a failure. Returns the seconds until the next attempt."""
        reason = f"{type(error).__name__}: {error}"
        self.log_once(f"the index cannot be updated, recall continues from the tail: {reason}")
        log.debug("the index cannot be updated", exc_info=error)
        self._folder.abandon()
        self._failures_in_succession += 1
        if self._failures_in_succession % TRIES == 0:
            # The published build may be the cause. It is shown until a new one is complete.
            self.demand(rejected=self._folder.published.name)
        self.trouble = reason
        self.failed_attempt = self.attempts
        first_damage = isinstance(error, IndexDamaged) and self._failures_in_succession == 1
        return 0.05 if first_damage else min(LONGEST_RETRY, 0.25 * 2**self._failures_in_succession)

    def _step(self) -> bool:
        """Apply one batch of the log. Returns whether there is more."""
        folder, store = self._folder, self._store
        if folder.target is None or not self.accepts(folder.newest):
            folder.begin(store.head())
        changes = self._changes()
        target = folder.target
        assert target is not None
        changed = changes.cursor != target.cursor
        if changed:
            if changes.appended:
                self._added = 0
            target.apply(analysed(changes.present(), self._analyzer), changes.deleted, changes.cursor)
        # A build that replaces another one is published when it is complete.
        publishes = (not changes.more or not folder.aside or not folder.snapshot().rows) and (changed or folder.aside)
        if folder.aside and not changes.more:
            self._backlog.take_over(target)
        # Few codes are published with the words, so that both cost one commit; until then, recall reads the tail.
        few = target.passages - target.coded <= FEW_CODES
        due = not changes.more and (few or self.closing or not publishes)
        if (due and self._backlog.encode_build(target, closing=self.closing)) or publishes:
            folder.publish()
        return changes.more or self._backlog.left(folder.snapshot()) > 0

    def _changes(self) -> Changes:
        """The changes that follow in the build; in a new one, if the log cannot continue at the build's cursor."""
        folder = self._folder
        assert folder.target is not None
        try:
            return self._store.changes(folder.target.cursor, BATCH)
        except CursorExpired as error:
            log.warning("%s; the index is rebuilt", error)
            folder.begin(self._store.head())
            return self._store.changes("", BATCH)
