"""The store in one SQLite file: WAL, `synchronous=FULL`, so an acknowledged engram survives a power cut.

Owns the SQL, the connections and the transactions. One connection writes, under a lock; readers borrow one each from
a pool. A memory of ":memory:" has one connection for both. No connection may pass a fork: a child process opens the
memory itself.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from engram.engram import MAX_NAME_BYTES, Engram, canonical_id
from engram.errors import (
    InvalidEngram,
    MemoryClosed,
    MemoryDamaged,
    MemoryLocked,
    MemoryReadOnly,
    MemoryTooNew,
    NotFound,
)
from engram.store.base import Filter, Record, StoreStats
from engram.store.failures import damaged, no_file, translate
from engram.store.rows import (
    COLUMNS,
    INSERT,
    RECORD,
    Names,
    Row,
    conditions,
    drop_unused_names,
    engram_of,
    key_of,
    microseconds,
)
from engram.store.schema import APPLICATION_ID, MIGRATIONS, VERSION

__all__ = ["IN_MEMORY", "SqliteStore", "engram_of", "microseconds"]

IN_MEMORY = ":memory:"
PAGE = 500
"""Rows read at a time where many are listed."""

LAST_SEQ = (1 << 63) - 1
"""The highest seq that SQLite can give out."""

IDLE_READERS = 16
"""Connections for reading that are kept open when nobody reads."""

RECORD_CHARACTERS = 16 << 20
"""Characters of text after which `records` gives no more at a time."""


class SqliteStore:
    """A `Store` in one SQLite file (see `store.base` for what the methods promise)."""

    def __init__(self, path: str | Path, *, read_only: bool = False, wait: float = 10.0) -> None:
        """Open, or make, the memory at `path`; ":memory:" keeps it in RAM.

        `wait`: seconds to wait for another process's write before `MemoryLocked`.
        Raises `MemoryDamaged`, `MemoryTooNew`, `MemoryReadOnly`, `MemoryFull` or `MemoryLocked`, naming the file, and
        `NotFound` if there is none to be read.
        """
        self.path = str(path)
        self._in_memory = self.path == IN_MEMORY
        self._wait = wait
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._idle: list[sqlite3.Connection] = []
        self._names = Names()
        self._closed = False
        self._check_path(read_only)
        self.read_only = read_only or self._must_read_only()
        self._uri = self._make_uri()
        with self._translated("open"):
            self._writer = self._connect()
            try:
                self._prepare()
                row = self._writer.execute("SELECT value FROM counters WHERE name = 'identity'").fetchone()
                self.identity = f"{row[0] if row else 0:016x}"
            except BaseException:
                self._writer.close()
                raise

    # Opening.

    def _check_path(self, read_only: bool) -> None:
        if self._in_memory:
            return
        if os.path.isdir(self.path):
            raise MemoryReadOnly(f"cannot open {self.path}: it is a folder; give the path of a file")
        if read_only and not os.path.exists(self.path):
            raise NotFound(f"there is no memory at {self.path}; open it without read_only to make one")

    def _must_read_only(self) -> bool:
        """Whether the file is there and it, or the folder that the log must stand in, cannot be written."""
        if self._in_memory or not os.path.exists(self.path):
            return False
        return not (os.access(self.path, os.W_OK) and os.access(self._folder(), os.W_OK))

    def _folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.path))

    def _make_uri(self) -> str:
        if self._in_memory:
            return IN_MEMORY
        uri = f"file:{quote(os.path.abspath(self.path))}"
        if not self.read_only:
            return uri
        # Without write access to its folder SQLite cannot share a WAL; where there is none, nothing is missed.
        alone = not os.path.exists(self.path + "-wal") and not os.access(self._folder(), os.W_OK)
        return f"{uri}?mode=ro" + ("&immutable=1" if alone else "")

    def _connect(self) -> sqlite3.Connection:
        if not self._in_memory and not self.read_only:
            os.makedirs(self._folder(), exist_ok=True)
        db = sqlite3.connect(
            self._uri,
            uri=not self._in_memory,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            db.execute("PRAGMA synchronous=FULL")
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        db = self._writer
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        marked = int(db.execute("PRAGMA application_id").fetchone()[0])
        used = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (used or version) and marked != APPLICATION_ID:
            raise MemoryDamaged(f"{self.path} is a SQLite file but not an Engram memory; give another path")
        if version > VERSION:
            raise MemoryTooNew(
                f"{self.path} has format {version}, this Engram knows up to {VERSION}; upgrade: pip install -U engram"
            )
        if self.read_only:
            if version < VERSION:
                raise MemoryReadOnly(
                    f"{self.path} has format {version} and must be migrated to {VERSION};"
                    " open it once with write access"
                )
            return
        self._use_log()
        for number in range(version, VERSION):
            with self._transaction() as db:
                # Another process may have done it since.
                if int(db.execute("PRAGMA user_version").fetchone()[0]) == number:
                    MIGRATIONS[number](db)
                    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version={number + 1}")

    def _use_log(self) -> None:
        """Switch to a write-ahead log. SQLite itself does not wait for others here."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                if self._writer.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    self._writer.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    # Connections, transactions and errors.

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, nobody else's for so long; in memory the only one, under the lock."""
        with self._translated("read"):
            self._check_open()
            if self._in_memory:
                with self._lock:
                    self._check_open()
                    yield self._writer
                return
            try:
                db = self._idle.pop()
            except IndexError:
                db = self._connect()
            try:
                yield db
            finally:
                # Closed only here, or when idle: never under somebody who reads.
                self._idle.append(db)
                self._close_idle(0 if self._closed else IDLE_READERS)

    def _close_idle(self, most: int) -> None:
        while len(self._idle) > most:
            try:
                self._idle.pop(0).close()
            except IndexError:
                return

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A durable transaction on the writing connection."""
        if self.read_only:
            raise MemoryReadOnly(f"{self.path} is open for reading only; open it without read_only to write")
        with self._translated("write"), self._lock:
            self._check_open()
            with self._transaction() as db:
                yield db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._writer
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            self._names.forget()
            # A failed COMMIT on a full disk has already rolled back.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise MemoryClosed(f"the memory {self.path} is closed; open it again")
        if self._process != os.getpid():
            raise MemoryClosed(f"the memory {self.path} was opened before a fork; a child process must open it itself")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if self._closed:
                raise MemoryClosed(f"the memory {self.path} was closed during a {doing}; open it again") from error
            raise translate(error, self.path, doing, self._wait) from error
        except OSError as error:
            raise no_file(error, self.path, doing) from error

    def _engram(self, row: Row) -> Engram:
        try:
            return engram_of(row)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise damaged(self.path, error) from error

    # Writing.

    def append(self, engrams: Sequence[Engram]) -> list[bool]:
        """Write all in one durable commit; False for one that was there already, word for word."""
        if not engrams:
            return []
        with self._writing() as db:
            self._names.begin(db)
            rows = [self._names.row(db, engram) for engram in engrams]
            if len(rows) > 1:
                # All at once is faster, but does not say which of them were there.
                db.execute("SAVEPOINT many")
                if db.executemany(INSERT, rows).rowcount == len(rows):
                    return [True] * len(rows)
                db.execute("ROLLBACK TO many")
            return [self._insert(db, row, engram) for row, engram in zip(rows, engrams, strict=True)]

    def _insert(self, db: sqlite3.Connection, row: Row, engram: Engram) -> bool:
        new = db.execute(INSERT, row).rowcount == 1
        if not new and self._get(db, row[0]) != engram:
            raise InvalidEngram(f"id {engram.id} is already there with other content; leave id out to get a new one")
        return new

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Remove what is meant, in one durable commit; returns how many engrams."""
        condition, values = conditions(where, "")
        if id is not None:
            condition += " AND id = ?"
            values.append(key_of(canonical_id(id)))
        with self._writing() as db:
            names = db.execute(f"SELECT DISTINCT namespace, session, speaker FROM engrams WHERE {condition}", values)
            used = names.fetchall()
            db.execute(f"INSERT INTO forgotten SELECT seq FROM engrams WHERE {condition}", values)
            # By number: what the condition means must not change once rows are going.
            gone = db.execute("DELETE FROM engrams WHERE seq IN (SELECT seq FROM forgotten)").rowcount
            drop_unused_names(db, used)
            if gone:
                db.execute("UPDATE counters SET value = value + 1 WHERE name = 'forgets'")
        return gone

    def clear_forgotten(self, seqs: Iterable[int]) -> None:
        """The index has dropped these."""
        with self._writing() as db:
            db.executemany("DELETE FROM forgotten WHERE seq = ?", ((seq,) for seq in seqs))

    # Reading.

    def _get(self, db: sqlite3.Connection, key: bytes) -> Engram | None:
        row = db.execute(f"SELECT {COLUMNS} WHERE e.id = ?", (key,)).fetchone()
        return None if row is None else self._engram(row)

    def get(self, id: str) -> Engram | None:
        """The engram with this id, or None."""
        with self._reading() as db:
            return self._get(db, key_of(canonical_id(id)))

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Those of the engrams with these ids that are there, in `namespace` if one is given, by id."""
        keys = [key_of(canonical_id(id)) for id in ids]
        # With the plus SQLite goes by the ids: by the namespace it would read all that it holds.
        inside = "" if namespace is None else " AND +e.namespace = (SELECT number FROM namespaces WHERE name = ?)"
        found: dict[str, Engram] = {}
        with self._reading() as db:
            for start in range(0, len(keys), PAGE):
                part = keys[start : start + PAGE]
                query = f"SELECT {COLUMNS} WHERE e.id IN ({', '.join('?' * len(part))}){inside}"
                rows = db.execute(query, part if namespace is None else [*part, namespace])
                found.update((engram.id, engram) for engram in map(self._engram, rows))
        return found

    def seq_of(self, id: str) -> int | None:
        """Where the engram with this id stands in the order of appending, or None."""
        with self._reading() as db:
            row = db.execute("SELECT seq FROM engrams WHERE id = ?", (key_of(canonical_id(id)),)).fetchone()
        return None if row is None else int(row[0])

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Engram]:
        """The engrams that are still there among `seqs`, by seq."""
        found: dict[int, Engram] = {}
        with self._reading() as db:
            for start in range(0, len(seqs), PAGE):
                part = list(map(int, seqs[start : start + PAGE]))
                rows = db.execute(f"SELECT {COLUMNS} WHERE e.seq IN (SELECT value FROM json_each(?))", (str(part),))
                found.update((int(row[0]), self._engram(row)) for row in rows)
        return found

    def engrams(
        self, where: Filter, limit: int | None = None, after_id: str | None = None, *, newest: bool = False
    ) -> Iterator[Engram]:
        """Engrams in the order of appending, read a page at a time: what is appended meanwhile comes too."""
        after = None
        if after_id is not None:
            after = self.seq_of(after_id)
            if after is None:
                raise NotFound(f"no engram has the id {after_id}; after_id must name one in {self.path}")
        return self._pages(where, limit, after, newest)

    def _pages(self, where: Filter, limit: int | None, after: int | None, newest: bool) -> Iterator[Engram]:
        condition, values = conditions(where, "e.")
        sign, order = ("<", "DESC") if newest else (">", "ASC")
        query = f"SELECT {COLUMNS} WHERE {condition} AND e.seq {sign} ? ORDER BY e.seq {order} LIMIT ?"
        at = after if after is not None else LAST_SEQ if newest else 0
        left = -1 if limit is None else limit
        while left:
            page = PAGE if left < 0 else min(left, PAGE)
            with self._reading() as db:
                rows = db.execute(query, (*values, at, page)).fetchall()
            yield from map(self._engram, rows)
            if len(rows) < page:
                return
            at = rows[-1][0]
            left -= page if left > 0 else 0

    def count(self, where: Filter) -> int:
        """How many engrams there are."""
        condition, values = conditions(where, "")
        with self._reading() as db:
            return int(db.execute(f"SELECT count(*) FROM engrams WHERE {condition}", values).fetchone()[0])

    def version(self) -> tuple[int, int]:
        """The highest seq ever given out (0 for none), and how often something was forgotten."""
        with self._reading() as db:
            row = db.execute(
                "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'engrams'),"
                " (SELECT value FROM counters WHERE name = 'forgets')"
            ).fetchone()
        return int(row[0] or 0), int(row[1] or 0)

    def records(self, after_seq: int, limit: int) -> list[Record]:
        """Up to `limit` records with a seq over `after_seq`, the lowest first; fewer where their texts are long."""
        found: list[Record] = []
        room = RECORD_CHARACTERS
        with self._reading() as db:
            rows = db.execute(f"{RECORD} WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit))
            for row in rows:
                found.append(Record._make(row))
                room -= len(row[-1])
                if room < 0:
                    break
            rows.close()
        return found

    def seqs(self, after_seq: int) -> list[int]:
        """The seqs over `after_seq` that name an engram, lowest first."""
        with self._reading() as db:
            return [int(row[0]) for row in db.execute("SELECT seq FROM engrams WHERE seq > ?", (after_seq,))]

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """The last `limit` seqs of one session, lowest first."""
        condition, values = conditions(Filter(namespace, session), "")
        with self._reading() as db:
            rows = db.execute(f"SELECT seq FROM engrams WHERE {condition} ORDER BY seq DESC LIMIT ?", (*values, limit))
            return [int(row[0]) for row in rows][::-1]

    def previous_in_session(self, session: int, seq: int) -> int:
        """The highest seq under `seq` in a session, by its number; 0 for none."""
        with self._reading() as db:
            row = db.execute("SELECT max(seq) FROM engrams WHERE session = ? AND seq < ?", (session, seq)).fetchone()
        return int(row[0] or 0)

    def forgotten(self) -> list[int]:
        """Seqs that were forgotten and that no index has yet been told to drop."""
        with self._reading() as db:
            return [int(row[0]) for row in db.execute("SELECT seq FROM forgotten ORDER BY seq")]

    def namespace_number(self, namespace: str) -> int | None:
        """The number that stands for a namespace in records; None if it holds nothing."""
        with self._reading() as db:
            row = db.execute("SELECT number FROM namespaces WHERE name = ?", (namespace,)).fetchone()
        return None if row is None else int(row[0])

    def speakers(self, namespace: int) -> dict[str, int]:
        """The names that speak in a namespace, each with the number that stands for it in records."""
        with self._reading() as db:
            return dict(db.execute("SELECT name, number FROM speakers WHERE namespace = ?", (namespace,)).fetchall())

    def namespaces(self, prefix: str = "") -> list[tuple[str, int]]:
        """Every namespace whose name begins so, with its number of engrams, by name; no other is looked at."""
        with self._reading() as db:
            query = (
                "SELECT name, (SELECT count(*) FROM engrams WHERE namespace = number) FROM namespaces"
                " WHERE name >= ? AND name < ? ORDER BY name"
            )
            # Compared as UTF-8: no name that begins so is as great.
            return db.execute(query, (prefix, prefix + "\U0010ffff" * MAX_NAME_BYTES)).fetchall()

    def sessions(self, namespace: str) -> list[tuple[str, int]]:
        """Every session of a namespace with its number of engrams, in the order in which they began."""
        with self._reading() as db:
            query = (
                "SELECT s.name, (SELECT count(*) FROM engrams e WHERE e.session = s.number) FROM sessions s"
                " JOIN namespaces n ON n.number = s.namespace WHERE n.name = ? ORDER BY s.number"
            )
            return db.execute(query, (namespace,)).fetchall()

    def stats(self) -> StoreStats:
        """Counts over the whole store."""
        tables = ("engrams", "namespaces", "sessions")
        with self._reading() as db:
            engrams, namespaces, sessions = (
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables
            )
        files = [] if self._in_memory else [self.path, self.path + "-wal", self.path + "-shm"]
        return StoreStats(engrams, namespaces, sessions, sum(map(size_of, files)))

    # Keeping.

    def compact(self) -> None:
        """Rewrite the file without what was forgotten, and empty the log: needs every other reader to be still."""
        if self.read_only:
            raise MemoryReadOnly(f"{self.path} is open for reading only; open it without read_only to compact")
        with self._translated("compact"), self._lock:
            self._check_open()
            self._writer.execute("VACUUM")
            self._empty_log()

    def _empty_log(self) -> None:
        """Move the log into the file and cut it to nothing; a reader of another process can hold it up for a while."""
        deadline = time.monotonic() + self._wait
        while not self._in_memory:
            busy, _, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > deadline:
                raise MemoryLocked(
                    f"{self.path}: another process kept reading for {self._wait:g} s, so the log could not be emptied;"
                    " what was forgotten may still stand in it: compact again when the other is done"
                )
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of the file. Closing twice is allowed."""
        with self._lock:
            # What a fork has carried here is the parent's to close.
            if self._closed or self._process != os.getpid():
                return
            self._closed = True
            self._close_idle(0)
            self._writer.close()


def size_of(path: str) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
