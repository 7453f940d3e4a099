"""The store in one SQLite file: WAL, `synchronous=FULL`, so an acknowledged engram survives a power cut.

Owns the SQL and the translation of SQLite's errors into ours. One connection writes, under a lock; every thread reads
through its own. A memory of ":memory:" has one connection for both.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engram.engram import ROLES, Engram, canonical_id, metadata_json
from engram.errors import (
    EngramError,
    InvalidEngram,
    MemoryClosed,
    MemoryDamaged,
    MemoryFull,
    MemoryLocked,
    MemoryReadOnly,
    MemoryTooNew,
    NotFound,
)
from engram.store.base import Filter, Record, StoreStats
from engram.store.schema import APPLICATION_ID, MIGRATIONS, VERSION

IN_MEMORY = ":memory:"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

COLUMNS = (
    "e.seq, e.id, n.name, s.name, e.role, p.name, e.text, e.at, e.recorded, e.kind, e.source, e.metadata"
    " FROM engrams e JOIN namespaces n ON n.number = e.namespace JOIN sessions s ON s.number = e.session"
    " LEFT JOIN speakers p ON p.number = e.speaker"
)
RECORD = "SELECT seq, namespace, session, ifnull(speaker, 0), role, ifnull(kind, 'turn'), at, text FROM engrams"
PAGE = 500
"""Rows read at a time where many are listed."""


class SqliteStore:
    """A `Store` in one SQLite file (see `store.base` for what the methods promise)."""

    def __init__(self, path: str | Path, *, read_only: bool = False, wait: float = 10.0) -> None:
        """Open, or make, the memory at `path`; ":memory:" keeps it in RAM.

        `wait`: seconds to wait for another process's write before `MemoryLocked`.
        Raises `MemoryDamaged`, `MemoryTooNew`, `MemoryReadOnly`, `MemoryFull` or `MemoryLocked`, naming the file.
        """
        self.path = str(path)
        self._in_memory = self.path == IN_MEMORY
        self._wait = wait
        self._lock = threading.RLock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self.read_only = read_only or self._must_read_only()
        self._uri = self._make_uri()
        with self._translated("open"):
            self._writer = self._connect()
            try:
                self._prepare()
            except BaseException:
                self._writer.close()
                raise

    # Opening.

    def _must_read_only(self) -> bool:
        if self._in_memory or not os.path.exists(self.path):
            return False
        return not os.access(self.path, os.W_OK)

    def _make_uri(self) -> str:
        if self._in_memory:
            return IN_MEMORY
        uri = f"file:{quote(os.path.abspath(self.path))}"
        if not self.read_only:
            return uri
        # Without write access to its folder SQLite cannot share a WAL; where there is none, nothing is missed.
        folder = os.path.dirname(os.path.abspath(self.path))
        alone = not os.path.exists(self.path + "-wal") and not os.access(folder, os.W_OK)
        return f"{uri}?mode=ro" + ("&immutable=1" if alone else "")

    def _connect(self) -> sqlite3.Connection:
        if not self._in_memory and not self.read_only:
            folder = os.path.dirname(os.path.abspath(self.path))
            os.makedirs(folder, exist_ok=True)
        db = sqlite3.connect(
            self._uri,
            uri=not self._in_memory,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA temp_store=MEMORY")
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
        if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            db.execute("PRAGMA journal_mode=WAL")
        for number in range(version, VERSION):
            with self._transaction() as db:
                # Another process may have done it since.
                if int(db.execute("PRAGMA user_version").fetchone()[0]) == number:
                    MIGRATIONS[number](db)
                    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version={number + 1}")

    # Connections, transactions and errors.

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection for reading; in memory the only one, under the lock."""
        with self._translated("read"):
            if self._in_memory:
                with self._lock:
                    self._check_open()
                    yield self._writer
                return
            db: sqlite3.Connection | None = getattr(self._local, "db", None)
            if db is None:
                with self._lock:
                    self._check_open()
                    db = self._local.db = self._connect()
                    self._readers.append(db)
            elif self._closed:
                self._check_open()
            yield db

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
            # A failed COMMIT on a full disk has already rolled back.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise MemoryClosed(f"the memory {self.path} is closed; open it again")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if self._closed:
                raise MemoryClosed(f"the memory {self.path} was closed during a {doing}; open it again") from error
            raise translate(error, self.path, doing, self._wait) from error
        except OSError as error:
            raise MemoryReadOnly(f"cannot {doing} {self.path}: {error.strerror}; check the path") from error

    # Writing.

    def append(self, engrams: Sequence[Engram]) -> list[bool]:
        """Write all in one durable commit; False for one that was there already, word for word."""
        if not engrams:
            return []
        with self._writing() as db:
            written = []
            numbers: dict[tuple[str, int, str], int] = {}
            for e in engrams:
                key = uuid.UUID(e.id).bytes
                namespace = numbered(db, numbers, "namespaces", 0, e.namespace)
                row = (
                    key,
                    namespace,
                    numbered(db, numbers, "sessions", namespace, e.session),
                    None if e.speaker is None else numbered(db, numbers, "speakers", namespace, e.speaker),
                    ROLES.index(e.role),
                    microseconds(e.at),
                    microseconds(e.recorded_at) - microseconds(e.at),
                    None if e.kind == "turn" else e.kind,
                    e.source,
                    metadata_json(e.metadata) if e.metadata else None,
                    e.text,
                )
                cursor = db.execute(
                    "INSERT INTO engrams (id, namespace, session, speaker, role, at, recorded, kind, source, metadata,"
                    " text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                    row,
                )
                new = cursor.rowcount == 1
                if not new and self._get(db, key) != e:
                    raise InvalidEngram(f"id {e.id} is already there with other content; leave id out to get a new one")
                written.append(new)
        return written

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Remove what is meant, in one durable commit; returns how many engrams."""
        condition, values = conditions(where, "")
        if id is not None:
            condition += " AND id = ?"
            values.append(uuid.UUID(canonical_id(id)).bytes)
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

    @staticmethod
    def _get(db: sqlite3.Connection, key: bytes) -> Engram | None:
        row = db.execute(f"SELECT {COLUMNS} WHERE e.id = ?", (key,)).fetchone()
        return None if row is None else engram_of(row)

    def get(self, id: str) -> Engram | None:
        """The engram with this id, or None."""
        with self._reading() as db:
            return self._get(db, uuid.UUID(canonical_id(id)).bytes)

    def seq_of(self, id: str) -> int | None:
        """Where the engram with this id stands in the order of appending, or None."""
        with self._reading() as db:
            row = db.execute("SELECT seq FROM engrams WHERE id = ?", (uuid.UUID(canonical_id(id)).bytes,)).fetchone()
        return None if row is None else int(row[0])

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Engram]:
        """The engrams that are still there among `seqs`, by seq."""
        found: dict[int, Engram] = {}
        with self._reading() as db:
            for start in range(0, len(seqs), PAGE):
                part = list(map(int, seqs[start : start + PAGE]))
                rows = db.execute(f"SELECT {COLUMNS} WHERE e.seq IN (SELECT value FROM json_each(?))", (str(part),))
                found.update((int(row[0]), engram_of(row)) for row in rows)
        return found

    def engrams(self, where: Filter, limit: int | None = None, after_id: str | None = None) -> Iterator[Engram]:
        """Engrams in the order of appending, read a page at a time: what is appended meanwhile comes too."""
        after = 0
        if after_id is not None:
            found = self.seq_of(after_id)
            if found is None:
                raise NotFound(f"no engram has the id {after_id}; after_id must name one in {self.path}")
            after = found
        return self._pages(where, limit, after)

    def _pages(self, where: Filter, limit: int | None, after: int) -> Iterator[Engram]:
        condition, values = conditions(where, "e.")
        left = -1 if limit is None else limit
        while left:
            page = PAGE if left < 0 else min(left, PAGE)
            with self._reading() as db:
                query = f"SELECT {COLUMNS} WHERE {condition} AND e.seq > ? ORDER BY e.seq LIMIT ?"
                rows = db.execute(query, (*values, after, page)).fetchall()
            yield from map(engram_of, rows)
            if len(rows) < page:
                return
            after = rows[-1][0]
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
        return int(row[0] or 0), int(row[1])

    def records(self, after_seq: int, limit: int, namespace: int | None = None, newest: bool = False) -> list[Record]:
        """Up to `limit` records with a seq over `after_seq`, the lowest first; with `newest`, the last `limit`."""
        condition, values = "seq > ?", [after_seq]
        if namespace is not None:
            condition, values = condition + " AND namespace = ?", [after_seq, namespace]
        order = "DESC" if newest else "ASC"
        with self._reading() as db:
            rows = db.execute(f"{RECORD} WHERE {condition} ORDER BY seq {order} LIMIT ?", (*values, limit)).fetchall()
        records = [Record(*row) for row in rows]
        return records[::-1] if newest else records

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
            return [int(row[0]) for row in db.execute("SELECT seq FROM forgotten")]

    def namespace_number(self, namespace: str) -> int | None:
        """The number that stands for a namespace in records; None if it holds nothing."""
        with self._reading() as db:
            row = db.execute("SELECT number FROM namespaces WHERE name = ?", (namespace,)).fetchone()
        return None if row is None else int(row[0])

    def speakers(self, namespace: int) -> dict[str, int]:
        """The names that speak in a namespace, each with the number that stands for it in records."""
        with self._reading() as db:
            return dict(db.execute("SELECT name, number FROM speakers WHERE namespace = ?", (namespace,)).fetchall())

    def namespaces(self) -> list[tuple[str, int]]:
        """Every namespace with its number of engrams, by name."""
        with self._reading() as db:
            query = "SELECT name, (SELECT count(*) FROM engrams WHERE namespace = number) FROM namespaces ORDER BY name"
            return db.execute(query).fetchall()

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
        with self._reading() as db:
            counts = [int(db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]) for t in ("engrams", "namespaces", "sessions")]
        files = [] if self._in_memory else [self.path, self.path + "-wal", self.path + "-shm"]
        return StoreStats(*counts, bytes=sum(os.path.getsize(f) for f in files if os.path.exists(f)))

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
            if self._closed:
                return
            self._closed = True
            for db in (*self._readers, self._writer):
                db.close()
            self._readers.clear()


def numbered(
    db: sqlite3.Connection, known: dict[tuple[str, int, str], int], table: str, namespace: int, name: str
) -> int:
    """The number of a name, given one if it is new; `known` holds those of this transaction."""
    key = (table, namespace, name)
    number = known.get(key)
    if number is None:
        columns = {"name": name} if table == "namespaces" else {"namespace": namespace, "name": name}
        condition = " AND ".join(f"{column} = ?" for column in columns)
        values = tuple(columns.values())
        row = db.execute(f"SELECT number FROM {table} WHERE {condition}", values).fetchone()
        if row is None:
            marks = ", ".join("?" * len(values))
            db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
            row = db.execute("SELECT last_insert_rowid()").fetchone()
        number = known[key] = int(row[0])
    return number


def drop_unused_names(db: sqlite3.Connection, used: Sequence[tuple[int, int, int | None]]) -> None:
    """A name that nothing bears any more is text of what was forgotten, too; `used`: what bore the forgotten."""
    spaces, sessions, speakers = (set(numbers) for numbers in zip(*used, strict=True)) if used else ((), (), ())
    gone = "DELETE FROM {} WHERE number = ? AND NOT EXISTS (SELECT 1 FROM engrams e WHERE {})"
    # A speaker is looked for within their namespace, the index that there is.
    speaker = "e.namespace = speakers.namespace AND e.speaker = number"
    db.executemany(gone.format("speakers", speaker), ((n,) for n in speakers if n is not None))
    db.executemany(gone.format("sessions", "e.session = number"), ((n,) for n in sessions))
    db.executemany(gone.format("namespaces", "e.namespace = number"), ((n,) for n in spaces))


def conditions(where: Filter, prefix: str) -> tuple[str, list[object]]:
    """A filter as SQL over the engrams, their columns under `prefix`."""
    parts, values = ["1"], list[object]()
    space = "(SELECT number FROM namespaces WHERE name = ?)"
    if where.session is not None:
        numbers, names = "SELECT number FROM sessions WHERE name = ?", [where.session]
        if where.namespace is not None:
            numbers, names = f"{numbers} AND namespace = {space}", [where.session, where.namespace]
        parts.append(f"{prefix}session IN ({numbers})")
        values += names
    elif where.namespace is not None:
        parts.append(f"{prefix}namespace = {space}")
        values.append(where.namespace)
    for sign, moment in (("<", where.before), (">=", where.after)):
        if moment is not None:
            parts.append(f"{prefix}at {sign} ?")
            values.append(microseconds(moment))
    if where.kinds is not None:
        parts.append(f"ifnull({prefix}kind, 'turn') IN ({', '.join('?' * len(where.kinds))})")
        values += where.kinds
    return " AND ".join(parts), values


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 in UTC, exactly; a naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND


def engram_of(row: tuple[Any, ...]) -> Engram:
    """An engram from a row of `COLUMNS`."""
    _, key, namespace, session, role, speaker, text, at, recorded, kind, source, metadata = row
    return Engram(
        id=str(uuid.UUID(bytes=key)),
        namespace=namespace,
        session=session,
        role=ROLES[role],
        speaker=speaker,
        text=text,
        at=EPOCH + at * MICROSECOND,
        recorded_at=EPOCH + (at + recorded) * MICROSECOND,
        kind="turn" if kind is None else kind,
        source=source,
        metadata={} if metadata is None else json.loads(metadata),
    )


def translate(error: sqlite3.Error, path: str, doing: str, wait: float) -> EngramError:
    """SQLite's error as one of ours, saying what happened, to which file and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = -1 if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MemoryLocked(f"{path}: another process held the memory for over {wait:g} s; try again when it is done")
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and disk_is_full(path)):
        return MemoryFull(f"{path}: the disk is full, nothing of this {doing} was kept; make room and try again")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return MemoryReadOnly(f"cannot {doing} {path}: {error}; check that the file and its folder can be written")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return MemoryDamaged(f"{path} is damaged ({error}); run: engram doctor --memory {path}")
    if primary == sqlite3.SQLITE_IOERR:
        return MemoryDamaged(f"{path}: reading or writing the disk failed ({error}); check the disk, then: engram doctor")
    return EngramError(f"{path}: SQLite could not {doing}: {error}")


def disk_is_full(path: str) -> bool:
    """Whether the file system of `path` has next to no room left."""
    try:
        room = os.statvfs(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 1 << 20


def looks_like_memory(path: str | Path) -> bool:
    """Whether `path` is a SQLite file marked as an Engram memory; reads its first 100 bytes only."""
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return head[:15] == b"SQLite format 3" and int.from_bytes(head[68:72]) == APPLICATION_ID


def integrity(path: str | Path) -> list[str]:
    """What SQLite's own check finds wrong with the file at `path`; empty if nothing."""
    with closing(sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)) as db:
        rows = db.execute("PRAGMA integrity_check(100)").fetchall()
    return [str(row[0]) for row in rows if row[0] != "ok"]
