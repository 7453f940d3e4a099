"""A SQLite file that the threads of a process share: one connection that writes, and a pool of connections that read.

Owns how such a file is opened, recognised, read, written under a lock and closed, and the translation of the driver's
errors. Knows no table and no query: a subclass defines what the file is and prepares it.
"""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from types import TracebackType
from typing import ClassVar

from engram.errors import EngramError, MemoryClosed, MemoryDamaged, MemoryLocked, MemoryReplaced
from engram.store.private import private_file, private_folder
from engram.store.sqlite import files
from engram.store.sqlite.errors import no_file, too_new, translate

log = logging.getLogger("engram")

IN_MEMORY = ":memory:"

DRIVER_ERRORS = (sqlite3.Error, OSError)
"""Errors that never leave this class untranslated."""

CUT_OFF = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR_SHORT_READ)
"""Errors of SQLite in a file that was cut off."""

LOOKS = 5
"""How often a log must be found too small before it counts as cut off."""


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

    read_only: bool = False

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
        self._where = path if self.in_memory else os.path.abspath(path)
        """The path, also after the process has changed its working directory."""
        self._place: files.Place | None = None
        """The file that is open; None for a database in RAM."""
        self._size = 0
        """Its size in bytes when it was last looked at."""
        self._log_paths: tuple[str, str] | None = None
        """The paths of SQLite's log and of its index; None until they are known, and if the file has no log."""
        self._log_places: list[files.Place | None] = []
        """The log and the index that are open."""
        self._log_size = 0
        """The least size of the log in bytes, unless SQLite has emptied it since."""
        self._log_saved = False
        """Whether the log was found deleted or replaced, and what it holds was saved. For good."""
        self._parted = False
        """Whether the open file was found replaced. For good: its log is gone from beside the path."""

    # Opening.

    def open(self) -> None:
        """Open or create the file, and check that it is the subclass's. A new file has rights for its owner only."""
        with self.translated("open"):
            self._prepare_files()
            self.writer = self.connect(self.wait)
            try:
                self.ready(self._recognised())
                self.check_place()
                self._find_log()
            except BaseException:
                self.writer.close()
                raise
            if not self.in_memory and not self.read_only:
                files.write_record(self._where)

    def _prepare_files(self) -> None:
        """Create the file if it is missing, and take the log of a replaced file away from it.

        A file that is opened for reading only is left as it is. Raises `MemoryReplaced` if its log is another file's.
        """
        if self.in_memory:
            return
        if self.read_only:
            files.refuse_foreign_log(self._where)
        else:
            private_folder(os.path.dirname(os.path.realpath(self._where)))
            private_file(self._where)
        if not self.read_only and (aside := files.part_from_foreign_log(self._where)):
            log.warning("%s replaced the file to which the log beside it belonged; the log is now %s", self.path, aside)
        self._place, self._size = files.look(self._where)
        if (names := os.stat(self._where).st_nlink) > 1:
            log.warning(
                "%s has %d names (hard links): opened by two of them it is damaged, so delete all but one",
                self.path,
                names,
            )

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

    def use_light_log(self) -> None:
        """As `use_log`, for a file of which a power cut may lose the last commits. Deleted rows are overwritten."""
        self.use_log()
        self.writer.execute("PRAGMA synchronous=NORMAL")
        # What was deleted may name persons.
        self.writer.execute("PRAGMA secure_delete=ON")

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
            self.check_place()
            yield self.writer

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction for a caller that holds the lock already."""
        db = self.writer
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
            # After the commit, which takes milliseconds: what the path does not name is not acknowledged.
            self._log_size = max(self._log_size, files.LOG_HEADER_BYTES)
            self.check_place()
            self._check_log_header()
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
            _, self._size = files.look(self._where)

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

    def check_place(self) -> None:
        """Raise `MemoryReplaced` if the file or its log is not the open one any more. Costs three calls of the system.

        Raises `MemoryDamaged` if either was cut off, one of `DRIVER_ERRORS` if nothing can be known of it.
        """
        if self._place is None:
            return
        place, size = files.look(self._where)
        if self._parted or place != self._place:
            self._part_from_path()
            raise MemoryReplaced(
                f"{self.path} was deleted, moved or replaced while it was open; nothing more is read or written: stop"
                " the server or end the program, put the right file in its place, and start again"
            )
        if size < self._size:
            self._check_whole(size)
        self._size = size
        if self._log_paths is not None:
            self._check_log(*self._log_paths)

    def _check_whole(self, size: int) -> None:
        """Raise `MemoryDamaged` unless the file is whole: it became smaller, as only `vacuum` makes it."""
        problem = "it is empty" if not size else self._first_problem()
        if problem != "ok":
            raise MemoryDamaged(
                f"{self.path} was cut off by another program while it was open ({problem}); restore it from a backup,"
                f" or save what is left: engram doctor --memory {shlex.quote(self.path)} --save NEW.db"
            )

    def _first_problem(self) -> str:
        """Return what SQLite's check finds in the file; "ok" if that is nothing."""
        # A new connection has no pages in its cache. It must not open an empty file: SQLite would delete the log.
        try:
            with closing(self.connect(self.read_wait)) as db:
                return str(db.execute("PRAGMA quick_check(1)").fetchone()[0]).rpartition("\n")[2]
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in CUT_OFF:
                raise
            return str(error)

    def _part_from_path(self) -> None:
        """Empty the log into the open file, wherever that is now, and take the log away from the path.

        SQLite would write what is in the log into the file that is at the path.
        """
        # The thread that has the lock parts at its next check.
        if self._parted or self.read_only or not self._lock.acquire(blocking=False):
            return
        try:
            if self.writer.in_transaction:
                return
            self._parted = True
            with suppress(sqlite3.Error):
                self.writer.execute("PRAGMA busy_timeout=0")
                self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            with suppress(OSError):
                if self._log_places and files.look(files.log_of(self._where))[0] == self._log_places[0]:
                    files.set_log_aside(self._where)
            log.error("%s was deleted, moved or replaced while it was open: nothing more is stored", self.path)
        finally:
            self._lock.release()

    # The log.

    def _find_log(self) -> None:
        """Remember which log is open, and check that it holds what SQLite believes to be in it.

        Raises `MemoryDamaged` if it does not: another process has the file open with a log that was deleted.
        """
        if self.in_memory or self.read_only:
            return
        log_path = files.log_of(self._where)
        paths = (log_path, files.index_of(log_path))
        places = [files.look(path)[0] for path in paths]
        if None in places:
            return
        self._log_paths, self._log_places = paths, places
        self._log_size = files.look(log_path)[1]
        if self._log_size < files.LOG_HEADER_BYTES:
            self._check_log_whole(log_path)

    def _check_log(self, log_path: str, index_path: str) -> None:
        """Raise `MemoryReplaced` if the log or its index is not the open one, `MemoryDamaged` if the log was cut off.

        What the log holds is saved first, if it would be lost.
        """
        place, size = files.look(log_path)
        if self._log_saved or [place, files.look(index_path)[0]] != self._log_places:
            self._save_log(log_path, index_path)
            raise MemoryReplaced(
                f"{log_path} or {index_path} was deleted, moved or replaced while {self.path} was open; nothing more is"
                " read or written: stop the server or end every program that has the memory open, and start again"
            )
        if size < self._log_size:
            self._check_log_whole(log_path)
        else:
            self._log_size = max(self._log_size, size)

    def _check_log_header(self) -> None:
        """Raise `MemoryDamaged` if a commit went into a log that had been emptied: such a log has no header."""
        if self._log_paths is not None and not files.has_header(self._log_paths[0]):
            # No process reads a log without header; SQLite in this one would copy the holes in it into the file.
            os.truncate(self._log_paths[0], 0)
            raise self._log_cut_off(self._log_paths[0])

    def _check_log_whole(self, log_path: str) -> None:
        """Raise `MemoryDamaged` if the log is smaller than what SQLite has written into it and not emptied since.

        Does nothing in a thread without the lock: the thread that has the lock checks the log itself.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self.writer.in_transaction:
                return
            # Another process may empty the log between the two calls of one look.
            for _ in range(LOOKS):
                needed, found = self._log_bytes_needed(log_path), files.look(log_path)[1]
                if found >= needed:
                    self._log_size = found
                    return
            raise self._log_cut_off(log_path)
        finally:
            self._lock.release()

    def _log_bytes_needed(self, log_path: str) -> int:
        """Return the size in bytes that the log must have. Raises `MemoryDamaged` if a part cannot be read."""
        deadline = time.monotonic() + self.wait
        page = int(self.writer.execute("PRAGMA page_size").fetchone()[0])
        while True:
            try:
                busy, frames, _ = self.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) not in CUT_OFF:
                    raise
                raise self._log_cut_off(log_path) from error
            if not busy or time.monotonic() > deadline:
                return files.LOG_HEADER_BYTES + frames * (files.FRAME_HEADER_BYTES + page) if frames > 0 else 0
            # Another process moves the log into the file.
            time.sleep(0.01)

    def _log_cut_off(self, log_path: str) -> MemoryDamaged:
        return MemoryDamaged(
            f"{log_path} was cut off or emptied by another program while {self.path} was open, and the last turns that"
            " were stored in it may be lost; nothing more is written: stop the server or end every program that has the"
            " memory open, start again, and restore a backup if turns are missing or engram doctor finds damage"
        )

    def _save_log(self, log_path: str, index_path: str) -> None:
        """Save what the open log holds, unless the log is at its path still. A later call tries again if that failed.

        A log that replaced it is set aside, or the next process would write it into the file.
        """
        if self._log_saved or not self._lock.acquire(blocking=False):
            return
        try:
            if self.writer.in_transaction:
                return
            place, size = files.look(log_path)
            if place == self._log_places[0]:
                # With another index, another process may use the log: it is not to be emptied here.
                self._log_saved = True
            elif files.look(index_path)[0] not in (None, self._log_places[1]):
                # Another process may have opened the file without the knowledge of this log, and may be writing.
                copy = files.new_copy(self._where)
                self.writer.execute("VACUUM INTO ?", (copy,))
                self._log_saved = True
                log.error("%s has another log now; what this process had stored is saved as %s", self.path, copy)
            else:
                busy, _, _ = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._log_saved = not busy
                if self._log_saved and size:
                    log.error("another log had replaced %s; it is now %s", log_path, files.rename_log(self._where))
            log.error("%s or %s was deleted, moved or replaced while it was open", log_path, index_path)
        finally:
            self._lock.release()

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
                with suppress(EngramError, *DRIVER_ERRORS):
                    self.check_place()
                self.writer.close()
                if not self.in_memory and not self.read_only:
                    files.drop_record(self._where)


class Reading:
    """The context that `Database.reading` returns for a file. A generator would more than double its cost."""

    __slots__ = ("_database", "_db")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        database = self._database
        database.check_open()
        try:
            database.check_place()
        except MemoryReplaced:
            # Another thread may have closed the database meanwhile, which deletes the log.
            database.check_open()
            raise
        except DRIVER_ERRORS as error:
            raise database.translate_error(error, "read") from error
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
