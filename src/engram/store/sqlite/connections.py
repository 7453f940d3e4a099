"""A SQLite file that the threads of a process share: one connection that writes, and a pool of connections that read.

Owns how such a file is opened, recognised, read, written under a lock and closed, and the translation of the driver's
errors. Knows no table and no query: a subclass defines what the file is and prepares it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import ClassVar

from engram.errors import EngramError, MemoryClosed, MemoryDamaged, MemoryLocked
from engram.store.sqlite.errors import no_file, too_new, translate

IN_MEMORY = ":memory:"

DRIVER_ERRORS = (sqlite3.Error, OSError)
"""Errors that never leave this class untranslated."""


class Database:
    """Base class: inherit, define the class variables, and prepare the file in `ready`; the subclass calls `open`.

    Safe to use from several threads, and other processes may have the same file open. A database at ":memory:" has one
    connection for reading and writing.
    """

    display_name: ClassVar[str]
    """What messages call the file."""
    not_ours_hint: ClassVar[str]
    """End of the message about another application's file: what the file is not, and what to do."""
    application_id: ClassVar[int]
    version: ClassVar[int]
    """Current version of the format."""
    idle_readers: ClassVar[int]
    """Maximum number of idle reading connections."""

    writer: sqlite3.Connection

    def __init__(self, path: str, *, wait: float, read_wait: float, uri: str | None = None) -> None:
        """`wait`, `read_wait`: seconds that writing and reading wait for locks. `uri`: the path as SQLite takes it."""
        self.path = path
        self.wait = wait
        self.read_wait = read_wait
        self.in_memory = path == IN_MEMORY
        self.closed = False
        self._lock = threading.RLock()
        """Guards `writer`."""
        self.idle: list[sqlite3.Connection] = []
        self._uri = uri

    # Opening.

    def open(self) -> None:
        """Open or create the file, and check that it is the subclass's."""
        with self.translated("open"):
            self.writer = self.connect(self.wait)
            try:
                self.ready(self._recognised())
            except BaseException:
                self.writer.close()
                raise

    def connect(self, wait: float) -> sqlite3.Connection:
        """Return a new connection in autocommit mode. Any thread may use it, one at a time."""
        return sqlite3.connect(
            self._uri or self.path,
            uri=self._uri is not None,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

    def _recognised(self) -> int:
        """Return the version of the file's format, 0 for a new file.

        Raises `MemoryDamaged` for another application's file, `MemoryTooNew` for a newer version. Changes neither.
        """
        db = self.writer
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        application_id = int(db.execute("PRAGMA application_id").fetchone()[0])
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (tables or version) and application_id != self.application_id:
            raise MemoryDamaged(f"{self.path} is a SQLite file but {self.not_ours_hint}")
        if version > self.version:
            raise too_new(self.path, version, self.version)
        return version

    def ready(self, version: int) -> None:
        """Migrate a file of format `version` to the current one, and read what the subclass needs to know of it."""
        raise NotImplementedError

    def use_log(self) -> None:
        """Switch to a write-ahead log. Waits for locks itself, because SQLite does not in this case."""
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
        """Migrate the file from format `number` to the next. The step commits together with the new number."""
        with self.transaction() as db:
            # Another process may have migrated the file in the meantime.
            if int(db.execute("PRAGMA user_version").fetchone()[0]) == number:
                step(db)
                db.execute(f"PRAGMA application_id={self.application_id}")
                db.execute(f"PRAGMA user_version={number + 1}")

    # Reading and writing.

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context with a reading connection for this thread alone; in RAM, the only one, under the lock."""
        return self.holding("read") if self.in_memory else Reading(self)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction on the writing connection. It commits at the end, or rolls back on an error."""
        with self.holding("write"), self.transaction() as db:
            yield db

    @contextmanager
    def holding(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Lend the writing connection, under the lock and outside a transaction. `doing`: the verb for messages."""
        # Checked before the lock too: in a forked child, the thread that would release the lock may not exist.
        self.check_open()
        with self.translated(doing), self._lock:
            self.check_open()
            yield self.writer

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction for a caller that holds the lock already."""
        db = self.writer
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            self.on_rollback()
            # A failed COMMIT on a full disk has already rolled back.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def on_rollback(self) -> None:
        """Hook, called under the lock before a rollback: drop the cached data of the transaction."""

    # Maintenance.

    def vacuum(self) -> None:
        """Rewrite the file and truncate SQLite's log, so that neither holds deleted rows. Raises `MemoryLocked`."""
        with self.holding("compact") as db:
            db.execute("VACUUM")
            self._empty_log(db)

    def _empty_log(self, db: sqlite3.Connection) -> None:
        """Move SQLite's log into the file and truncate it. Waits for readers of other processes."""
        deadline = time.monotonic() + self.wait
        while not self.in_memory:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > deadline:
                raise MemoryLocked(
                    f"{self.path}: another process kept reading for {self.wait:g} s, so the log could not be emptied"
                    " and may still hold forgotten text; compact again when the other process is done"
                )
            time.sleep(0.05)

    # Errors.

    def check_open(self) -> None:
        """Raise `MemoryClosed` if the database is closed."""
        if self.closed:
            raise MemoryClosed(f"the {self.display_name} {self.path} is closed; open it again")

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Convert the driver's errors to `EngramError`s. `doing`: the verb for messages."""
        try:
            yield
        except DRIVER_ERRORS as error:
            raise self.translate_error(error, doing) from error

    def translate_error(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """Return the `EngramError` for one of `DRIVER_ERRORS`."""
        if isinstance(error, OSError):
            return no_file(error, self.path, doing)
        if self.closed:
            return MemoryClosed(f"the {self.display_name} {self.path} was closed during a {doing}; open it again")
        return translate(error, self.path, doing, self.wait)

    # Closing.

    def close_idle(self, most: int) -> None:
        """Close idle reading connections until at most `most` are left."""
        while len(self.idle) > most:
            try:
                self.idle.pop(0).close()
            except IndexError:
                return

    def close(self) -> None:
        """Close the connections. A second call does nothing."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self.close_idle(0)
                self.writer.close()


class Reading:
    """The context that `Database.reading` returns for a file. A generator would more than double its cost."""

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
        # A connection is closed only here or while idle, never during a read of another thread.
        database.idle.append(self._db)
        if database.closed or len(database.idle) > database.idle_readers:
            database.close_idle(0 if database.closed else database.idle_readers)
        if isinstance(error, DRIVER_ERRORS):
            raise database.translate_error(error, "read") from error
