"""The reflector: derives statements from a store, in the order of its log.

Owns how far the log was read; what is read of a turn is `reflection.reading`. Each step is one commit with the new
cursor, so that a step that was broken off is done again and one that another process did is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from engram.meaning.base import Encoder
from engram.meaning.codes import Coder
from engram.parts import in_parts
from engram.reflection import mentions
from engram.reflection.database import UNCHECKED, DerivedDatabase, clear, delete, insert, set_value, value_of
from engram.reflection.proposals import tables
from engram.reflection.reading import statements_in
from engram.store.base import Changes, CursorExpired, Key, LoggedStore

STEP = 32
"""Turns of a step if the time is limited: some 50 ms, so that a reading can end soon after something else needs the
processor."""
AT_ONCE = 500
"""Turns of a step otherwise, and those that are looked up in the store at once."""
THREADS = 2
"""Threads that encode beside the one that reads, if the time is not limited."""


class Reflector:
    """Keeps the derived data of one store up to date, when it is asked to. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, encoder: Encoder) -> None:
        """`encoder`: the one that the labels were fitted for."""
        self._store, self._database, self._encoder = store, database, encoder
        self._coder = Coder(encoder.dimensions, encoder=encoder.fingerprint)
        self._lock = threading.Lock()

    def pending(self) -> int:
        """Return the number of turns that were not read yet."""
        try:
            return self._store.distance(self._database.cursor(), self._store.head()).appended
        except CursorExpired:
            return self._store.distance("", self._store.head()).appended

    def reflect(self, seconds: float | None = None) -> int:
        """Read what the log holds by now, for at most about `seconds`. Returns the number of turns that were read.

        Without a limit it uses all cores; with one it leaves the others to those who wait for an answer. Reads nothing
        if the derived data is open for reading only: another process derives it.
        """
        if self._database.read_only:
            return 0
        deadline = None if seconds is None else time.monotonic() + seconds
        read = 0
        with self._lock, _threads(seconds is None) as pool:
            while True:
                cursor = self._database.cursor()
                if cursor == self._store.head():
                    self._forget_missing()
                    return read
                try:
                    changes = self._store.changes(cursor, AT_ONCE if seconds is None else STEP)
                except CursorExpired:
                    self._start_over(cursor)
                    continue
                read += self._apply(cursor, changes, pool)
                if not changes.more:
                    self._forget_missing()
                if not changes.more or (deadline is not None and time.monotonic() >= deadline):
                    return read

    def purge(self) -> None:
        """Delete what was derived of turns that the store no longer holds, and what is left of it in the file.

        Reads no turn. What the log says of deletions stays to be read, and deletes nothing more then.
        """
        last = Key(0, 0)
        while turns := self._database.turns(last, AT_ONCE):
            held = self._store.texts(turns)
            if gone := [key for key in turns if key not in held]:
                with self._database.writing() as db:
                    delete(db, gone)
                    mentions.delete(db, gone)
            last = turns[-1]
        self._database.vacuum()

    def _forget_missing(self) -> None:
        """Delete what was proposed of turns that the store lost while nobody read its log."""
        with self._database.reading() as db:
            if not value_of(db, UNCHECKED):
                return
            keys = tables.keys_of(db)
        there = set[Key]()
        for part in in_parts(keys, AT_ONCE):
            there.update(self._store.texts(part))
        with self._database.writing() as db:
            tables.delete(db, [key for key in keys if key not in there])
            set_value(db, UNCHECKED, "")

    def _start_over(self, cursor: str) -> None:
        with self._database.writing() as db:
            if value_of(db, "cursor") == cursor:
                clear(db)

    def _apply(self, cursor: str, changes: Changes, pool: Executor | None) -> int:
        present = changes.present()
        statements = statements_in(present, self._encoder, self._coder, pool)
        named = mentions.named_turns(present)
        with self._database.writing() as db:
            # Another process may have done this step.
            if value_of(db, "cursor") != cursor:
                return 0
            insert(db, statements)
            delete(db, changes.deleted)
            mentions.insert(db, named)
            mentions.delete(db, changes.deleted)
            set_value(db, "cursor", changes.cursor)
        return len(changes.appended)


@contextmanager
def _threads(several: bool) -> Iterator[Executor | None]:
    """Give threads that encode, which begin when they are first used; None if not `several`."""
    if not several:
        yield None
        return
    with ThreadPoolExecutor(THREADS, "engram-reflect") as pool:
        yield pool
