"""One SQLite file that the threads of a process share: a connection that writes, and a pool of those that read.

Owns how such a file is opened, recognised, read, written under a lock, and closed, and that what goes wrong is told as
one of Engram's errors. Knows no table and no query: what a file is, and what makes it ready, is its subclass's.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import ClassVar

from engram.errors import EngramError, MemoryClosed, MemoryDamaged, MemoryTooNew
from engram.store.sqlite.errors import no_file, translate

IN_MEMORY = ":memory:"

TROUBLE = (sqlite3.Error, OSError)
"""What is never let out as it is."""


class Database:
    """Inherit, say what the file is, and make it ready in `ready`; `open` is for the subclass to call.

    Safe to use from threads, and other processes may have the same file open. A database of ":memory:" has one
    connection for reading and writing.
    """

    called: ClassVar[str]
    """What a message calls it."""
    foreign: ClassVar[str]
    """The end of the message about another application's file: what it is not, and what to do."""
    application_id: ClassVar[int]
    version: ClassVar[int]
    """The format of today."""
    idle_readers: ClassVar[int]
    """Connections for reading that are kept open when nobody reads."""

    writer: sqlite3.Connection

    def __init__(self, path: str, *, wait: float, read_wait: float, uri: str | None = None) -> None:
        """`wait`, `read_wait`: seconds that writing and reading wait for others. `uri`: the path as SQLite takes it."""
        self.path = path
        self.wait = wait
        self.read_wait = read_wait
        self.in_memory = path == IN_MEMORY
        self.closed = False
        self._lock = threading.RLock()
        """Who has it may use `writer`."""
        self.idle: list[sqlite3.Connection] = []
        self._uri = uri

    # Opening.

    def open(self) -> None:
        """Open the file, or make it, and see that it is what it should be."""
        with self.translated("open"):
            self.writer = self.connect(self.wait)
            try:
                self.ready(self._recognised())
            except BaseException:
                self.writer.close()
                raise

    def connect(self, wait: float) -> sqlite3.Connection:
        """A new connection. It begins no transaction by itself, and any thread may use it while no other does."""
        return sqlite3.connect(
            self._uri or self.path,
            uri=self._uri is not None,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _recognised(self) -> int:
        """The format of the file, 0 for a new one; another's file, or a newer one, is left alone."""
        db = self.writer
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        marked = int(db.execute("PRAGMA application_id").fetchone()[0])
        used = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (used or version) and marked != self.application_id:
            raise MemoryDamaged(f"{self.path} is a SQLite file but {self.foreign}")
        if version > self.version:
            raise MemoryTooNew(
                f"{self.path} has format {version}, this Engram knows up to {self.version};"
                " upgrade: pip install -U engram"
            )
        return version

    def ready(self, version: int) -> None:
        """Bring a file of format `version` to the one of today, and read what must be known of it."""
        raise NotImplementedError

    def use_log(self) -> None:
        """Switch to a write-ahead log. SQLite itself does not wait for others here."""
        deadline = time.monotonic() + self.wait
        while True:
            try:
                if self.writer.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    self.writer.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def migrate(self, number: int, step: Callable[[sqlite3.Connection], None]) -> None:
        """Take the file from format `number` to the next: the step commits together with its number."""
        with self.transaction() as db:
            # Another process may have done it since.
            if int(db.execute("PRAGMA user_version").fetchone()[0]) == number:
                step(db)
                db.execute(f"PRAGMA application_id={self.application_id}")
                db.execute(f"PRAGMA user_version={number + 1}")

    # Reading and writing.

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection for reading, nobody else's for so long; in memory the only one, under the lock."""
        return self.holding("read") if self.in_memory else Reading(self)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the writing connection: all of it is kept, or nothing."""
        with self.holding("write"), self.transaction() as db:
            yield db

    @contextmanager
    def holding(self, doing: str) -> Iterator[sqlite3.Connection]:
        """The writing connection, under the lock and in no transaction."""
        # Asked before the lock, too: in the child of a fork there may be nobody who lets go of it.
        self.check_open()
        with self.translated(doing), self._lock:
            self.check_open()
            yield self.writer

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What `writing` is made of, for who has the lock already."""
        db = self.writer
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            self.taken_back()
            # A failed COMMIT on a full disk has already rolled back.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def taken_back(self) -> None:
        """Called, under the lock, when nothing of a transaction is kept: forget what is known from it."""

    # Errors.

    def check_open(self) -> None:
        """Raise `MemoryClosed` if it cannot be used any more."""
        if self.closed:
            raise MemoryClosed(f"the {self.called} {self.path} is closed; open it again")

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Raise Engram's errors in the place of others'."""
        try:
            yield
        except TROUBLE as error:
            raise self.told(error, doing) from error

    def told(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """The error to raise in the place of one of `TROUBLE`."""
        if isinstance(error, OSError):
            return no_file(error, self.path, doing)
        if self.closed:
            return MemoryClosed(f"the {self.called} {self.path} was closed during a {doing}; open it again")
        return translate(error, self.path, doing, self.wait)

    # Closing.

    def close_idle(self, most: int) -> None:
        """Close connections that nobody reads with, until there are `most`."""
        while len(self.idle) > most:
            try:
                self.idle.pop(0).close()
            except IndexError:
                return

    def close(self) -> None:
        """Let go of the file. Closing twice is allowed."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self.close_idle(0)
                self.writer.close()


class Reading:
    """What `reading` gives for a file. A request reads several times, and generators would cost it more than twice."""

    __slots__ = ("_database", "_db")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        database = self._database
        database.check_open()
        try:
            self._db = database.idle.pop()
        except IndexError:
            with database.translated("read"):
                self._db = database.connect(database.read_wait)
        return self._db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        database = self._database
        # Closed only here, or when idle: never under somebody who reads.
        database.idle.append(self._db)
        if database.closed or len(database.idle) > database.idle_readers:
            database.close_idle(0 if database.closed else database.idle_readers)
        if isinstance(error, TROUBLE):
            raise database.told(error, "read") from error
