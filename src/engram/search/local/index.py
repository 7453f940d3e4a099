"""The local index: an index in a folder, and the tail of the log that it does not hold yet. Implements `Search`.

The invariant: every engram of the log has one row, in the snapshot if the log has it up to the snapshot's cursor, in
the tail if it follows up to the tail's cursor, which is the head of the log, and none only while a large index is built
and the engram lies between the snapshot's cursor and the tail's start. `check_invariant` in tests/search/local asserts
it.

Owns the moment at which an engram passes from the tail into the index. Every process that has the memory open has its
own local index over the same folder. The thread that writes to the folder is the indexer's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from engram.errors import EngramError, MemoryLocked
from engram.meaning.base import Encoder
from engram.search.base import Encoded, IndexDamaged, Ints, SearchReader, SearchStats
from engram.search.local import indexer
from engram.search.local.build import Snapshot
from engram.search.local.delta import NONE, DeltaIndex
from engram.search.local.entries import analysed
from engram.search.local.folder import IndexFolder
from engram.search.local.forward import Entry, key_number
from engram.search.local.indexer import WORTH_A_COMMIT, Indexer
from engram.search.local.pending import FEW, Backlog
from engram.search.local.reader import IndexReader
from engram.store.base import CursorExpired, Key, LoggedStore, Record
from engram.text.base import Analyzer

log = logging.getLogger("engram")

TAIL_MOST = 20_000
"""Engrams that the tail holds at most; of more, recall covers the newest and counts the others as unsearched."""

RECORDS_AT_ONCE = 2_000
"""Engrams that one call reads from the log."""

STUCK = 1.5 * indexer.STUCK
"""Seconds without progress after which `flush` stops to wait for another process that indexes."""

IN_RAM = "the memory in RAM"

POLL = 0.05


class LocalIndex:
    """Index and tail of one store. Safe to use from several threads."""

    def __init__(
        self, store: LoggedStore, folder: IndexFolder, analyzer: Analyzer, encoder: Encoder | None = None
    ) -> None:
        """`encoder`: of the passages, with the coder of `folder`; None for an index without vectors."""
        self._store = store
        self._backlog = Backlog(store, folder, encoder)
        self._folder = folder
        self._analyzer = analyzer
        self._lock = threading.Lock()
        """Guards the fields below."""
        self._snapshot = folder.empty
        self._tail = self._new_tail(0, "", self._snapshot)
        self._deleted: Ints = NONE
        """Rows of the snapshot that the log reports as deleted."""
        self._head = ""
        self._version = 0
        distrusted = self._distrust_foreign_cursor()
        self._indexer = Indexer(store, folder, analyzer, self._backlog)
        if distrusted:
            self._indexer.wake()

    def _distrust_foreign_cursor(self) -> bool:
        """Stop to use an index that has read further than the log reaches: the store was replaced by a backup."""
        snapshot, begun = self._folder.snapshot(), self._folder.published.begun
        # The head after the snapshot, so that the log cannot be behind for another reason.
        head, distance = self._store.head(), self._store.distance
        try:
            if min(*distance(snapshot.cursor, head), *distance(begun, head)) >= 0:
                return False
            reason = f"the index has read the log up to {snapshot.cursor}, but the log ends at {head}"
        except CursorExpired as error:
            reason = str(error)
        self._folder.distrust(snapshot, reason)
        return True

    # For recall.

    def reader(self) -> IndexReader:
        """Return a reader that covers every change that is committed to the store now."""
        with self._lock:
            # The snapshot before the head: then the tail has read every deletion that the snapshot has.
            self._folder.refresh()
            snapshot, head = self._folder.snapshot(), self._store.head()
            if head != self._head:
                self._head = head
                self._version += 1
            if snapshot is not self._snapshot or head != self._tail.cursor:
                snapshot = self._catch_up(snapshot)
            tail = self._tail
            self._backlog.encode_tail(tail)
            unsearched = max(0, self._store.distance(snapshot.cursor, tail.start).appended)
            left = self._backlog.left(snapshot)
            if unsearched or len(tail) >= WORTH_A_COMMIT or self._folder.damage or len(self._deleted) or left:
                self._indexer.wake()
            elif self._backlog.has_encoder and (len(tail) > FEW or tail.long):
                self._indexer.wake(later=True)
            missing = self._backlog.missing(snapshot) + len(tail.unencoded) + len(tail.long)
            return IndexReader(snapshot, tail, tail.last, self._deleted, unsearched, self._version, missing)

    def damaged(self, reader: SearchReader, error: IndexDamaged) -> None:
        """Stop to use the index of `reader`, and rebuild it."""
        assert isinstance(reader, IndexReader)
        if self._folder.distrust(reader.index, str(error)):
            self._indexer.log_once(f"{error}; the index is rebuilt")
        self._indexer.wake()

    def _catch_up(self, snapshot: Snapshot) -> Snapshot:
        """Let the tail follow a snapshot up to the head of the log. Returns the snapshot that is used."""
        makers: tuple[Callable[[Snapshot], DeltaIndex], ...] = (self._continued, self._restarted)
        for make_tail in makers:
            try:
                self._read_log(make_tail(snapshot), snapshot)
            except (CursorExpired, IndexDamaged) as error:
                reason = error
            else:
                return snapshot
        self._indexer.log_once(f"{reason}; the index is rebuilt")
        self._folder.distrust(snapshot, str(reason))
        snapshot = self._folder.snapshot()
        self._read_log(self._restarted(snapshot), snapshot)
        return snapshot

    def _continued(self, snapshot: Snapshot) -> DeltaIndex:
        """The tail without the engrams that a newer snapshot holds."""
        tail, base, distance = self._tail, self._snapshot, self._store.distance
        another_build = base.rows and (snapshot.build != base.build or snapshot.rows < base.rows)
        index_is_ahead = snapshot is not base and distance(tail.cursor, snapshot.cursor).appended >= 0
        if another_build or index_is_ahead or distance(tail.cursor, self._head).appended > TAIL_MOST:
            return self._restarted(snapshot)
        if snapshot is base:
            return tail
        indexed = set(snapshot.forward.keys(base.rows + 1, snapshot.rows).tolist())
        gap = max(0, distance(snapshot.cursor, tail.start).appended)
        older = self._older(snapshot, self._deleted_rows(tail, snapshot))
        return tail.without(indexed, snapshot.rows + gap + 1, older)

    def _deleted_rows(self, tail: DeltaIndex, snapshot: Snapshot) -> Ints:
        """The rows of a snapshot that the log reports as deleted after the tail's start."""
        rows = snapshot.inverted.rows_of(sorted(tail.deleted))
        return rows[rows <= snapshot.rows]

    def _restarted(self, snapshot: Snapshot) -> DeltaIndex:
        """An empty tail that continues a snapshot. Its rows leave room for what the index has yet to read."""
        start = self._store.skip(snapshot.cursor, TAIL_MOST)
        gap = max(0, self._store.distance(snapshot.cursor, start).appended)
        return self._new_tail(gap, start, snapshot)

    def _new_tail(self, gap: int, start: str, snapshot: Snapshot) -> DeltaIndex:
        first, coder = snapshot.rows + gap + 1, self._folder.coder
        return DeltaIndex(first, start, self._analyzer.token_type, self._older(snapshot), coder, self._backlog.known)

    def _older(self, snapshot: Snapshot, deleted: Ints = NONE) -> Callable[[int], int]:
        """A function that finds the last turn of a session in a snapshot."""
        return partial(snapshot.forward.session_end, through=snapshot.rows, deleted=frozenset(deleted.tolist()))

    def _read_log(self, tail: DeltaIndex, snapshot: Snapshot) -> None:
        """Read the log into a tail, at least up to `_head`, and use the tail and the snapshot from now on."""
        known = {} if tail is self._tail else {entry.key: entry for entry in self._tail.entries}
        deleted: set[int] = set()
        # Not up to where the log ends by then: a fast writer could keep this busy forever.
        while max(self._store.distance(tail.cursor, self._head)) > 0:
            changes = self._store.changes(tail.cursor, RECORDS_AT_ONCE)
            tail.extend(self._entries(changes.present(), known), changes.cursor)
            deleted.update(map(key_number, changes.deleted))
        if len(tail) > 2 * TAIL_MOST:
            self._tail = tail
            self._read_log(self._restarted(snapshot), snapshot)
            return
        if deleted or snapshot is not self._snapshot or tail is not self._tail:
            tail.deleted |= deleted
            self._deleted = self._deleted_rows(tail, snapshot)
            if deleted and tail.refers_to(deleted, self._deleted):
                tail = tail.without(deleted, tail.first, self._older(snapshot, self._deleted))
        self._tail, self._snapshot = tail, snapshot

    def _entries(self, records: Sequence[Record], known: dict[Key, Entry]) -> list[Entry]:
        """The entries of records; those in `known` are not analysed again."""
        if not known:
            return analysed(records, self._analyzer)
        keys = [Key(record.namespace, record.seq) for record in records]
        new = analysed([r for r, key in zip(records, keys, strict=True) if key not in known], self._analyzer)
        entries = known | {entry.key: entry for entry in new}
        return [entries[key] for key in keys]

    def encoded(self) -> Encoded:
        """Return what this process has encoded since the last call; nothing if the store can be written to."""
        return self._backlog.encoded()

    def take_encoded(self, encoded: Encoded) -> None:
        """Use what another process has encoded. What another encoder has made is left."""
        self._backlog.take_encoded(encoded)

    # For those who write.

    def added(self, count: int) -> None:
        """Count appended engrams, and index them when there are enough."""
        self._indexer.added(count)

    def deleted(self) -> None:
        """Drop deleted engrams from the index, if there is one."""
        if self._folder.builds():
            self._indexer.wake()

    # For those who wait for the index.

    def holds(self, keys: Sequence[Key]) -> bool:
        """Return whether the index holds all engrams with these keys."""
        self._folder.refresh()
        snapshot = self._folder.snapshot()
        try:
            rows = snapshot.inverted.rows_of([key_number(key) for key in set(keys)])
        except IndexDamaged:
            return False
        return bool(np.count_nonzero(rows <= snapshot.rows) == len(set(keys)))

    def flush(self, timeout: float | None = None, *, vectors: bool = True) -> bool:
        """Wait until every change that is committed now is in the index; False after `timeout` seconds.

        vectors: whether to wait until the passages have vectors, too. Raises `EngramError` if the index cannot be
        written or passages cannot be encoded, `MemoryLocked` if another process keeps the writer lock and makes no
        progress.
        """
        return self._wait(self._store.head(), timeout, vectors=vectors)

    def rebuild(self, timeout: float | None = None) -> bool:
        """Rebuild the index from the store, and wait as `flush` does."""
        self._folder.refresh()
        self._indexer.demand(rejected=self._folder.published.name)
        return self._wait(self._store.head(), timeout)

    def purge(self) -> None:
        """Replace the index by one that never held an engram that is deleted by now, and wait for it."""
        self._folder.refresh()
        head, before = self._store.head(), self._folder.builds()
        published = self._folder.published
        if not before or (published.name and self._store.distance(published.begun, head).deleted <= 0):
            return
        self._indexer.demand(purged=head)
        self._wait(head, None, vectors=False)
        # The process that publishes the new build deletes the old one right after that.
        deadline = time.monotonic() + STUCK
        while left := set(before).intersection(self._folder.builds()) - {self._folder.published.name}:
            if time.monotonic() > deadline:
                names = ", ".join(sorted(left))
                raise EngramError(f"{self._folder.folder}: {names} could not be deleted; delete it by hand")
            time.sleep(POLL)

    def _wait(self, target: str, timeout: float | None, *, vectors: bool = True) -> bool:
        """Wait until an accepted build has read the log up to the cursor `target`, and has encoded it if `vectors`."""
        indexer, folder, begun = self._indexer, self._folder, time.monotonic()
        # An attempt under way may fail for a reason that no longer holds, such as a full disk: only later ones count.
        attempts, moved, last_seen = indexer.attempts, begun, folder.snapshot()
        while not self._has_reached(target, vectors):
            if vectors and self._backlog.trouble:
                raise EngramError(f"{folder.folder or IN_RAM}: {self._backlog.trouble}")
            if self._store.read_only or indexer.closing:
                return False
            if indexer.failed_attempt > attempts:
                raise EngramError(f"{folder.folder or IN_RAM}: the index cannot be written: {indexer.trouble}")
            now = time.monotonic()
            if timeout is not None and now > begun + timeout:
                return False
            if folder.writing or folder.snapshot() is not last_seen:
                moved, last_seen = now, folder.snapshot()
            if now > moved + STUCK:
                holder = folder.holder() or "end it"
                raise MemoryLocked(
                    f"{folder.folder}: another process keeps the index and makes no progress for {STUCK:g} s: {holder}"
                )
            indexer.wake(urgent=True)
            indexer.wait(POLL)
        return True

    def _has_reached(self, target: str, vectors: bool) -> bool:
        self._folder.refresh()
        published, snapshot = self._folder.published, self._folder.snapshot()
        reached = max(self._store.distance(snapshot.cursor, target)) <= 0
        if vectors and self._backlog.missing(snapshot):
            return False
        return reached and not self._folder.damage and self._indexer.accepts(published)

    def stats(self) -> SearchStats:
        """Return the state of the index in numbers."""
        self._folder.refresh()
        snapshot, head = self._folder.snapshot(), self._store.head()
        cursor = snapshot.cursor
        return SearchStats(
            indexed_through=self._store.distance("", cursor).appended,
            unindexed=max(0, self._store.distance(cursor, head).appended),
            bytes=self._folder.bytes(),
            trouble=self._indexer.trouble or self._folder.damage or self._backlog.trouble,
            unencoded=self._backlog.missing(snapshot),
        )

    def close(self, quick: bool = False) -> None:
        """Stop the thread. Indexes one batch first if it is worth it, unless `quick`."""
        self._indexer.close(quick)
