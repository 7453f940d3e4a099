"""The store in one SQLite file: WAL, `synchronous=FULL`, so an acknowledged engram survives a power cut.

Owns the SQL, and what a memory's file is among SQLite files (`MemoryFile`): how it is found, migrated, and opened for
reading only. No connection may pass a fork: a child process opens the memory itself. Knows nothing of the pool of
connections, nor of how errors are told (`database`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from engram.engram import MAX_NAME_BYTES, Engram, canonical_id
from engram.errors import InvalidEngram, MemoryClosed, MemoryLocked, MemoryReadOnly, NotFound
from engram.ids import id_to_bytes
from engram.store.base import Filter, Record, StoreStats
from engram.store.sqlite.connections import IN_MEMORY, Database
from engram.store.sqlite.errors import damaged
from engram.store.sqlite.migrations import APPLICATION_ID, MIGRATIONS, VERSION
from engram.store.sqlite.rows import COLUMNS, INSERT, RECORD, Names, Row, conditions, drop_unused_names, engram_of

PAGE = 500
"""Rows read at a time where many are listed."""

LAST_SEQ = (1 << 63) - 1
"""The highest seq that SQLite can give out."""

IDLE_READERS = 16
"""Connections for reading that are kept open when nobody reads."""

RECORD_CHARACTERS = 16 << 20
"""Characters of text after which `records` gives no more at a time."""


class MemoryFile(Database):
    """The file of a memory, or what stands for it in RAM: written so that a commit survives a power cut."""

    called = "memory"
    foreign = "not an Engram memory; give another path"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = IDLE_READERS

    def __init__(self, path: str, read_only: bool, wait: float) -> None:
        if path != IN_MEMORY:
            check_path(path, read_only)
        self.read_only = read_only or must_read_only(path)
        super().__init__(path, wait=wait, read_wait=wait, uri=uri_of(path, self.read_only))
        self.names = Names()
        """Here, and not the store's: it must hear of every transaction that is taken back."""
        self.identity = ""
        self._process = os.getpid()
        self.open()

    def connect(self, wait: float) -> sqlite3.Connection:
        """A new connection, which syncs every commit."""
        if not self.in_memory and not self.read_only:
            os.makedirs(folder_of(self.path), exist_ok=True)
        db = super().connect(wait)
        try:
            db.execute("PRAGMA synchronous=FULL")
        except BaseException:
            db.close()
            raise
        return db

    def ready(self, version: int) -> None:
        """Migrate the file, or refuse to where it can only be read; learn which memory it is."""
        if not self.read_only:
            self.use_log()
            for number in range(version, VERSION):
                self.migrate(number, MIGRATIONS[number])
        elif version < VERSION:
            raise MemoryReadOnly(
                f"{self.path} has format {version} and must be migrated to {VERSION}; open it once with write access"
            )
        row = self.writer.execute("SELECT value FROM counters WHERE name = 'identity'").fetchone()
        self.identity = f"{row[0] if row else 0:016x}"

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A durable transaction."""
        if self.read_only:
            raise MemoryReadOnly(f"{self.path} is open for reading only; open it without read_only to write")
        with super().writing() as db:
            yield db

    def taken_back(self) -> None:
        """Numbers that were given to names are not valid."""
        self.names.forget()

    def check_open(self) -> None:
        """No connection may pass a fork, either."""
        super().check_open()
        if self._process != os.getpid():
            raise MemoryClosed(f"the memory {self.path} was opened before a fork; a child process must open it itself")

    def close(self) -> None:
        """Let go of the file; what a fork has carried here is the parent's to close."""
        if self._process == os.getpid():
            super().close()


class SqliteStore:
    """A `Store` in one SQLite file (see `store.base` for what the methods promise)."""

    def __init__(self, path: str | Path, *, read_only: bool = False, wait: float = 10.0) -> None:
        """Open, or make, the memory at `path`; ":memory:" keeps it in RAM.

        `wait`: seconds to wait for another process's write before `MemoryLocked`.
        Raises `MemoryDamaged`, `MemoryTooNew`, `MemoryReadOnly`, `MemoryFull` or `MemoryLocked`, naming the file, and
        `NotFound` if there is none to be read.
        """
        self.path = str(path)
        self._file = MemoryFile(self.path, read_only, wait)
        self._names = self._file.names
        self.read_only = self._file.read_only
        self.identity = self._file.identity

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
        with self._file.writing() as db:
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
            values.append(id_to_bytes(canonical_id(id)))
        with self._file.writing() as db:
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
        with self._file.writing() as db:
            db.executemany("DELETE FROM forgotten WHERE seq = ?", ((seq,) for seq in seqs))

    # Reading.

    def _get(self, db: sqlite3.Connection, key: bytes) -> Engram | None:
        row = db.execute(f"SELECT {COLUMNS} WHERE e.id = ?", (key,)).fetchone()
        return None if row is None else self._engram(row)

    def get(self, id: str) -> Engram | None:
        """The engram with this id, or None."""
        with self._file.reading() as db:
            return self._get(db, id_to_bytes(canonical_id(id)))

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Those of the engrams with these ids that are there, in `namespace` if one is given, by id."""
        keys = [id_to_bytes(canonical_id(id)) for id in ids]
        # With the plus SQLite goes by the ids: by the namespace it would read all that it holds.
        inside = "" if namespace is None else " AND +e.namespace = (SELECT number FROM namespaces WHERE name = ?)"
        found: dict[str, Engram] = {}
        with self._file.reading() as db:
            for start in range(0, len(keys), PAGE):
                part = keys[start : start + PAGE]
                query = f"SELECT {COLUMNS} WHERE e.id IN ({', '.join('?' * len(part))}){inside}"
                rows = db.execute(query, part if namespace is None else [*part, namespace])
                found.update((engram.id, engram) for engram in map(self._engram, rows))
        return found

    def seq_of(self, id: str) -> int | None:
        """Where the engram with this id stands in the order of appending, or None."""
        with self._file.reading() as db:
            row = db.execute("SELECT seq FROM engrams WHERE id = ?", (id_to_bytes(canonical_id(id)),)).fetchone()
        return None if row is None else int(row[0])

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Engram]:
        """The engrams that are still there among `seqs`, by seq."""
        found: dict[int, Engram] = {}
        with self._file.reading() as db:
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
            with self._file.reading() as db:
                rows = db.execute(query, (*values, at, page)).fetchall()
            yield from map(self._engram, rows)
            if len(rows) < page:
                return
            at = rows[-1][0]
            left -= page if left > 0 else 0

    def count(self, where: Filter) -> int:
        """How many engrams there are."""
        condition, values = conditions(where, "")
        with self._file.reading() as db:
            return int(db.execute(f"SELECT count(*) FROM engrams WHERE {condition}", values).fetchone()[0])

    def version(self) -> tuple[int, int]:
        """The highest seq ever given out (0 for none), and how often something was forgotten."""
        with self._file.reading() as db:
            row = db.execute(
                "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'engrams'),"
                " (SELECT value FROM counters WHERE name = 'forgets')"
            ).fetchone()
        return int(row[0] or 0), int(row[1] or 0)

    def records(self, after_seq: int, limit: int) -> list[Record]:
        """Up to `limit` records with a seq over `after_seq`, the lowest first; fewer where their texts are long."""
        found: list[Record] = []
        room = RECORD_CHARACTERS
        with self._file.reading() as db:
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
        with self._file.reading() as db:
            return [int(row[0]) for row in db.execute("SELECT seq FROM engrams WHERE seq > ?", (after_seq,))]

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """The last `limit` seqs of one session, lowest first."""
        condition, values = conditions(Filter(namespace, session), "")
        with self._file.reading() as db:
            rows = db.execute(f"SELECT seq FROM engrams WHERE {condition} ORDER BY seq DESC LIMIT ?", (*values, limit))
            return [int(row[0]) for row in rows][::-1]

    def previous_in_session(self, session: int, seq: int) -> int:
        """The highest seq under `seq` in a session, by its number; 0 for none."""
        with self._file.reading() as db:
            row = db.execute("SELECT max(seq) FROM engrams WHERE session = ? AND seq < ?", (session, seq)).fetchone()
        return int(row[0] or 0)

    def forgotten(self) -> list[int]:
        """Seqs that were forgotten and that no index has yet been told to drop."""
        with self._file.reading() as db:
            return [int(row[0]) for row in db.execute("SELECT seq FROM forgotten ORDER BY seq")]

    def namespace_number(self, namespace: str) -> int | None:
        """The number that stands for a namespace in records; None if it holds nothing."""
        with self._file.reading() as db:
            row = db.execute("SELECT number FROM namespaces WHERE name = ?", (namespace,)).fetchone()
        return None if row is None else int(row[0])

    def speakers(self, namespace: int) -> dict[str, int]:
        """The names that speak in a namespace, each with the number that stands for it in records."""
        with self._file.reading() as db:
            return dict(db.execute("SELECT name, number FROM speakers WHERE namespace = ?", (namespace,)).fetchall())

    def namespaces(self, prefix: str = "") -> list[tuple[str, int]]:
        """Every namespace whose name begins so, with its number of engrams, by name; no other is looked at."""
        with self._file.reading() as db:
            query = (
                "SELECT name, (SELECT count(*) FROM engrams WHERE namespace = number) FROM namespaces"
                " WHERE name >= ? AND name < ? ORDER BY name"
            )
            # Compared as UTF-8: no name that begins so is as great.
            return db.execute(query, (prefix, prefix + "\U0010ffff" * MAX_NAME_BYTES)).fetchall()

    def sessions(self, namespace: str) -> list[tuple[str, int]]:
        """Every session of a namespace with its number of engrams, in the order in which they began."""
        with self._file.reading() as db:
            query = (
                "SELECT s.name, (SELECT count(*) FROM engrams e WHERE e.session = s.number) FROM sessions s"
                " JOIN namespaces n ON n.number = s.namespace WHERE n.name = ? ORDER BY s.number"
            )
            return db.execute(query, (namespace,)).fetchall()

    def stats(self) -> StoreStats:
        """Counts over the whole store."""
        tables = ("engrams", "namespaces", "sessions")
        with self._file.reading() as db:
            engrams, namespaces, sessions = (
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables
            )
        files = [] if self._file.in_memory else [self.path, self.path + "-wal", self.path + "-shm"]
        return StoreStats(engrams, namespaces, sessions, sum(map(size_of, files)))

    # Keeping.

    def compact(self) -> None:
        """Rewrite the file without what was forgotten, and empty the log: needs every other reader to be still."""
        if self.read_only:
            raise MemoryReadOnly(f"{self.path} is open for reading only; open it without read_only to compact")
        with self._file.holding("compact") as db:
            db.execute("VACUUM")
            self._empty_log(db)

    def _empty_log(self, db: sqlite3.Connection) -> None:
        """Move the log into the file and cut it to nothing; a reader of another process can hold it up for a while."""
        wait = self._file.wait
        deadline = time.monotonic() + wait
        while not self._file.in_memory:
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > deadline:
                raise MemoryLocked(
                    f"{self.path}: another process kept reading for {wait:g} s, so the log could not be emptied;"
                    " what was forgotten may still stand in it: compact again when the other is done"
                )
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of the file. Closing twice is allowed."""
        self._file.close()


def check_path(path: str, read_only: bool) -> None:
    """Refuse a path that can be no memory, or that has none where one is to be read."""
    if os.path.isdir(path):
        raise MemoryReadOnly(f"cannot open {path}: it is a folder; give the path of a file")
    if read_only and not os.path.exists(path):
        raise NotFound(f"there is no memory at {path}; open it without read_only to make one")


def must_read_only(path: str) -> bool:
    """Whether the file is there and it, or the folder that the log must stand in, cannot be written."""
    if path == IN_MEMORY or not os.path.exists(path):
        return False
    return not (os.access(path, os.W_OK) and os.access(folder_of(path), os.W_OK))


def uri_of(path: str, read_only: bool) -> str | None:
    """What SQLite is to open; None for memory."""
    if path == IN_MEMORY:
        return None
    uri = f"file:{quote(os.path.abspath(path))}"
    if not read_only:
        return uri
    # Without write access to its folder SQLite cannot share a WAL; where there is none, nothing is missed.
    alone = not os.path.exists(path + "-wal") and not os.access(folder_of(path), os.W_OK)
    return f"{uri}?mode=ro" + ("&immutable=1" if alone else "")


def folder_of(path: str) -> str:
    """Where a file lies, or is to lie."""
    return os.path.dirname(os.path.abspath(path))


def size_of(path: str) -> int:
    """Bytes of a file; 0 if it is not there."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
