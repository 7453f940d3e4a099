"""The store in one SQLite file: WAL, `synchronous=FULL`, so an acknowledged engram survives a power cut.

Owns the SQL, and how the file of a memory is checked, migrated and opened for reading only (`MemoryFile`). A connection
must not cross a fork: a child process opens the memory itself. Does not know how connections are pooled and errors
translated: `connections` does.

A seq is the rowid of an engram. It grows in commit order over all namespaces, because SQLite has one writer at a time;
so it is also the engram's position in the log.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from engram.engram import Engram, canonical_id, refuse_other
from engram.errors import MemoryClosed, MemoryReadOnly, NotFound
from engram.ids import id_from_bytes, id_to_bytes
from engram.store.base import (
    NONE_OPEN,
    Changes,
    Distance,
    Filter,
    Key,
    OpenFields,
    Record,
    StoreStats,
    not_in_quarantine,
)
from engram.store.positions import Position, distance
from engram.store.sqlite.connections import IN_MEMORY, Database, log
from engram.store.sqlite.counts import (
    EXPIRED,
    EXPIRED_IN_QUARANTINE,
    any_expired,
    count_namespaces,
    count_sessions,
    session_number,
    totals,
)
from engram.store.sqlite.documents import SqliteDocuments, count_documents, erase_documents
from engram.store.sqlite.errors import damaged
from engram.store.sqlite.files import logs_aside
from engram.store.sqlite.migrations import APPLICATION_ID, MIGRATIONS, VERSION, imitate_current
from engram.store.sqlite.policies import Condition, SqlitePolicies, times_now, unexpired
from engram.store.sqlite.rows import (
    COLUMNS,
    INSERT,
    INSERT_QUARANTINED,
    QUARANTINED,
    RECORD,
    Names,
    Row,
    conditions,
    drop_unused_names,
    engram_of,
    quarantined_conditions,
    quarantined_row,
)

T = TypeVar("T")
Values = Sequence[object] | Mapping[str, object]
"""Values of an SQL statement, by position or by name."""

HEAD = (
    "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'engrams'),"
    " (SELECT seq FROM sqlite_sequence WHERE name = 'deletions')"
)
JOINED, ALONE = ("e.at", "n.name"), ("engrams.at", "(SELECT name FROM namespaces n WHERE n.number = engrams.namespace)")
HELD = ("quarantined.at", "quarantined.namespace")
"""The arguments of `unexpired` for a query of `COLUMNS`, of the table of engrams alone, and of the quarantine."""
ALL = Condition()
"""Admits expired engrams, too."""
PAGE = 500
"""Rows that one query reads while many are listed."""

LAST_SEQ = (1 << 63) - 1
"""The highest rowid in SQLite."""

IDLE_READERS = 16
"""Maximum number of idle reading connections."""

RECORD_CHARACTERS = 16 << 20
"""Characters of text after which `changes` ends a batch."""

DELETIONS_AT_ONCE = 50_000
"""Deletions in one batch of `changes`."""


class MemoryFile(Database):
    """The file of a memory, or its database in RAM. A commit survives a power cut."""

    display_name = "memory"
    not_ours_hint = "not an Engram memory; give another path"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = IDLE_READERS

    def __init__(self, path: str, read_only: bool, wait: float) -> None:
        if path != IN_MEMORY:
            check_path(path, read_only)
        self.read_only = read_only or must_read_only(path)
        super().__init__(path, wait=wait, read_wait=wait, uri=uri_of(path, self.read_only))
        self.names = Names()
        """In this class, because it must be cleared on every rollback."""
        self.identity = ""
        self._imitates = 0
        """The version of a file that is older and cannot be migrated; 0: it is the current one."""
        self._process = os.getpid()
        self.open()

    def connect(self, wait: float) -> sqlite3.Connection:
        """Return a new connection, which syncs every commit to the disk."""
        db = super().connect(wait)
        try:
            db.execute("PRAGMA synchronous=FULL")
            if self._imitates:
                imitate_current(db, self._imitates)
        except BaseException:
            db.close()
            raise
        return db

    def ready(self, version: int) -> None:
        """Migrate the file, and read the identity of the memory. An older file can be read unmigrated."""
        if not self.read_only:
            self.use_log()
            for number in range(version, VERSION):
                self.migrate(number, MIGRATIONS[number])
        elif version == 0:
            raise MemoryReadOnly(
                f"{self.path} has format {version} and must be migrated to {VERSION}; open it once with write access"
            )
        elif version < VERSION:
            self._imitates = version
            imitate_current(self.writer, version)
        row = self.writer.execute("SELECT value FROM counters WHERE name = 'identity'").fetchone()
        self.identity = f"{row[0] if row else 0:016x}"

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction that is durable when it has committed."""
        if self.read_only:
            raise MemoryReadOnly(f"{self.path} is open for reading only; open it without read_only to write")
        with super().writing() as db:
            yield db

    def on_rollback(self) -> None:
        """Empty the cache of names."""
        self.names.clear()

    def check_open(self) -> None:
        """Raise `MemoryClosed` if the database is closed, or was opened before a fork."""
        super().check_open()
        if self._process != os.getpid():
            raise MemoryClosed(f"the memory {self.path} was opened before a fork; a child process must open it itself")

    def close(self) -> None:
        """Close the connections, unless they belong to the parent process."""
        if self._process == os.getpid():
            super().close()


class SqliteStore:
    """A `Store` and `Log` in one SQLite file."""

    def __init__(self, path: str | Path, *, read_only: bool = False, wait: float = 10.0) -> None:
        """Open or create the memory at `path`; ":memory:" is a database in RAM.

        `wait`: seconds to wait for a write of another process before `MemoryLocked`. Raises `MemoryDamaged`,
        `MemoryTooNew`, `MemoryReadOnly`, `MemoryFull` or `MemoryLocked`, which name the file, and `NotFound` if a file
        to be read does not exist.
        """
        self.description = str(path)
        self._file = MemoryFile(self.description, read_only, wait)
        self.policies = SqlitePolicies(self._file)
        self._names = self._file.names
        self.documents = SqliteDocuments(self._file)
        self.read_only = self._file.read_only
        self.identity = self._file.identity

    def _engram(self, row: Row) -> Engram:
        try:
            return engram_of(row)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise damaged(self.description, error) from error

    # Writing.

    def append(self, engrams: Sequence[Engram], open_fields: OpenFields = NONE_OPEN) -> list[bool]:
        """Write all of `engrams` in one durable commit, or none of them."""
        if not engrams:
            return []
        with self._file.writing() as db:
            self._names.begin(db)
            if any(engram.quarantined is not None for engram in engrams):
                return [self._append_one(db, engram, open_fields) for engram in engrams]
            rows = [self._names.row(db, engram) for engram in engrams]
            if len(rows) > 1:
                # One call is faster, but does not tell which of them existed already.
                db.execute("SAVEPOINT many")
                if db.executemany(INSERT, rows).rowcount == len(rows):
                    return [True] * len(rows)
                db.execute("ROLLBACK TO many")
            return [self._insert(db, row, one, open_fields) for row, one in zip(rows, engrams, strict=True)]

    def _append_one(self, db: sqlite3.Connection, engram: Engram, open_fields: OpenFields = NONE_OPEN) -> bool:
        if engram.quarantined is None:
            return self._insert(db, self._names.row(db, engram), engram, open_fields)
        return self._insert(db, quarantined_row(engram), engram, open_fields, INSERT_QUARANTINED)

    def _insert(
        self, db: sqlite3.Connection, row: Row, engram: Engram, open_fields: OpenFields, statement: str = INSERT
    ) -> bool:
        new = db.execute(statement, row).rowcount == 1
        if not new:
            stored = self._get(db, row[0]) or self._held(db, engram.id)
            refuse_other(stored, engram, open_fields.get(engram.id, ()))
        return new

    def forget(self, where: Filter, id: str | None = None) -> int:
        """Delete the engrams that a filter admits, and documents with a whole namespace, in one durable commit."""
        key = None if id is None else canonical_id(id)
        condition, values = conditions(where, "")
        if key is not None:
            condition += " AND id = ?"
            values.append(id_to_bytes(key))
        held, held_values = quarantined_conditions(where, key)
        with self._file.writing() as db:
            deleted = self._delete(db, condition, values)
            deleted += db.execute(f"DELETE FROM quarantined WHERE {held}", held_values).rowcount
            return deleted + (erase_documents(db, where.namespace) if id is None and where.is_whole else 0)

    def forget_expired(self) -> int:
        """Delete the expired engrams, in one durable commit."""
        with self._file.reading() as db:
            # Most often nothing is: then nobody has to wait for the lock.
            if (times := times_now(db)) is None or not any_expired(db, times):
                return 0
        with self._file.writing() as db:
            # Read again: another process may have set a longer policy.
            if (times := times_now(db)) is None:
                return 0
            self.policies.check(db)
            held = f"DELETE FROM quarantined WHERE {EXPIRED_IN_QUARANTINE}"
            deleted = self._delete(db, f"seq IN ({EXPIRED})", times._asdict())
            return deleted + db.execute(held, times._asdict()).rowcount

    def _delete(self, db: sqlite3.Connection, condition: str, values: Values) -> int:
        """Delete engrams, log the deletions, and return how many they are."""
        names = db.execute(f"SELECT DISTINCT namespace, session, speaker FROM engrams WHERE {condition}", values)
        used = names.fetchall()
        last = self._head(db).deleted
        db.execute(
            f"INSERT INTO deletions (namespace, seq) SELECT namespace, seq FROM engrams WHERE {condition} ORDER BY seq",
            values,
        )
        # By seq, because the condition on names changes its meaning while rows are deleted.
        doomed = "SELECT seq FROM deletions WHERE number > ?"
        deleted = db.execute(f"DELETE FROM engrams WHERE seq IN ({doomed})", (last,)).rowcount
        drop_unused_names(db, used)
        return deleted

    # The quarantine.

    def quarantined(
        self, where: Filter, id: str | None = None, limit: int | None = None, after_id: str | None = None
    ) -> Iterator[Engram]:
        """Iterate over engrams in quarantine in the order in which they came there, a page at a time."""
        at = 0
        if after_id is not None:
            with self._file.reading() as db:
                row = self._held_row(db, canonical_id(after_id), unexpired(db, *HELD))
            if row is None:
                raise NotFound(not_in_quarantine(after_id, self.description))
            at = int(row[0])
        condition, values = quarantined_conditions(where, None if id is None else canonical_id(id))
        query, rest = f"{QUARANTINED} WHERE {condition}", " AND number > ? ORDER BY number LIMIT ?"
        return self._in_pages(query, HELD, rest, values, limit, at)

    def _held(self, db: sqlite3.Connection, id: str, condition: Condition = ALL) -> Engram | None:
        row = self._held_row(db, id, condition)
        return None if row is None else self._engram(row)

    def _held_row(self, db: sqlite3.Connection, id: str, condition: Condition) -> Row | None:
        query = f"{QUARANTINED} WHERE id = ?{condition.sql}"
        row: Row | None = db.execute(query, (id_to_bytes(id), *condition.values)).fetchone()
        return row

    def quarantine(self, id: str, why: str) -> bool:
        """Move an engram into quarantine, in one durable commit."""
        key = id_to_bytes(canonical_id(id))
        with self._file.writing() as db:
            engram = self._get(db, key, unexpired(db, *JOINED))
            if engram is None:
                return False
            self._delete(db, "id = ?", [key])
            return self._append_one(db, replace(engram, quarantined=why))

    def release(self, id: str) -> bool:
        """Move an engram out of quarantine, in one durable commit."""
        key = canonical_id(id)
        with self._file.writing() as db:
            self._names.begin(db)
            engram = self._held(db, key, unexpired(db, *HELD))
            if engram is None:
                return False
            db.execute("DELETE FROM quarantined WHERE id = ?", (id_to_bytes(key),))
            return self._append_one(db, replace(engram, quarantined=None))

    # Reading.

    def _get(self, db: sqlite3.Connection, key: bytes, condition: Condition = ALL) -> Engram | None:
        query = f"SELECT {COLUMNS} WHERE e.id = ?{condition.sql}"
        row = db.execute(query, (key, *condition.values)).fetchone()
        return None if row is None else self._engram(row)

    def get(self, id: str) -> Engram | None:
        """Return the engram with this id, or None."""
        with self._file.reading() as db:
            return self._get(db, id_to_bytes(canonical_id(id)), unexpired(db, *JOINED))

    def by_id(self, ids: Sequence[str], namespace: str | None = None) -> dict[str, Engram]:
        """Return the engrams with these ids, by id; only those of `namespace` if it is given."""
        keys = [id_to_bytes(canonical_id(id)) for id in ids]
        # The plus makes SQLite use the index of ids: by namespace it would read all engrams of the namespace.
        inside = "" if namespace is None else " AND +e.namespace = (SELECT number FROM namespaces WHERE name = ?)"
        found: dict[str, Engram] = {}
        spaces = [] if namespace is None else [namespace]
        with self._file.reading() as db:
            live = unexpired(db, *JOINED)
            for part in pages(keys):
                query = f"SELECT {COLUMNS} WHERE e.id IN ({', '.join('?' * len(part))}){inside}{live.sql}"
                rows = db.execute(query, (*part, *spaces, *live.values))
                found.update((engram.id, engram) for engram in map(self._engram, rows))
        return found

    def keys(self, ids: Sequence[str]) -> dict[str, Key]:
        """Return the keys of the engrams with these ids, by id."""
        wanted = {id_to_bytes(canonical_id(id)): id for id in ids}
        found: dict[str, Key] = {}
        with self._file.reading() as db:
            live = unexpired(db, *ALONE)
            for part in pages(list(wanted)):
                query = f"SELECT id, namespace, seq FROM engrams WHERE id IN ({', '.join('?' * len(part))}){live.sql}"
                rows = db.execute(query, (*part, *live.values))
                found.update((id_from_bytes(key), Key(namespace, seq)) for key, namespace, seq in rows)
        return found

    def by_seq(self, namespace: int, seqs: Sequence[int]) -> dict[int, Engram]:
        """Return the engrams of a namespace with these seqs."""
        found: dict[int, Engram] = {}
        with self._file.reading() as db:
            live = unexpired(db, *JOINED)
            # The plus makes SQLite use the seqs.
            query = f"SELECT {COLUMNS} WHERE +e.namespace = ? AND e.seq IN (SELECT value FROM json_each(?)){live.sql}"
            for part in pages(seqs):
                rows = db.execute(query, (namespace, str(list(map(int, part))), *live.values))
                found.update((int(row[0]), self._engram(row)) for row in rows)
        return found

    def texts(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Return the texts of the engrams with these keys."""
        wanted, found = frozenset(keys), dict[Key, str]()
        with self._file.reading() as db:
            for part in pages([key.seq for key in keys]):
                query = "SELECT namespace, seq, text FROM engrams WHERE seq IN (SELECT value FROM json_each(?))"
                rows = db.execute(query, (str(list(map(int, part))),))
                found.update((key, text) for n, seq, text in rows if (key := Key(n, seq)) in wanted)
        return found

    def engrams(
        self, where: Filter, limit: int | None = None, after_id: str | None = None, *, newest: bool = False
    ) -> Iterator[Engram]:
        """Iterate over engrams in commit order, a page at a time. Engrams appended in the meantime are included."""
        after = None
        if after_id is not None:
            key = self.keys([after_id]).get(canonical_id(after_id))
            if key is None:
                raise NotFound(f"no engram has the id {after_id}; after_id must be the id of one in {self.description}")
            after = key.seq
        return self._pages(where, limit, after, newest)

    def _pages(self, where: Filter, limit: int | None, after: int | None, newest: bool) -> Iterator[Engram]:
        condition, values = conditions(where, "e.")
        sign, order = ("<", "DESC") if newest else (">", "ASC")
        at = after if after is not None else LAST_SEQ if newest else 0
        query, rest = f"SELECT {COLUMNS} WHERE {condition}", f" AND e.seq {sign} ? ORDER BY e.seq {order} LIMIT ?"
        return self._in_pages(query, JOINED, rest, values, limit, at)

    def _in_pages(
        self, query: str, place: tuple[str, str], rest: str, values: Sequence[object], limit: int | None, at: int
    ) -> Iterator[Engram]:
        """Run a query for engrams that are not expired, a page at a time.

        place: the arguments of `unexpired`. rest: follows that condition, with those on the number in the first column
        and on the number of rows.
        """
        left = -1 if limit is None else limit
        while left:
            page = PAGE if left < 0 else min(left, PAGE)
            with self._file.reading() as db:
                live = unexpired(db, *place)
                rows = db.execute(query + live.sql + rest, (*values, *live.values, at, page)).fetchall()
            yield from map(self._engram, rows)
            if len(rows) < page:
                return
            at = rows[-1][0]
            left -= page if left > 0 else 0

    def count(self, where: Filter) -> int:
        """Return the number of engrams that a filter admits."""
        condition, values = conditions(where, "")
        with self._file.reading() as db:
            live = unexpired(db, *ALONE)
            query = f"SELECT count(*) FROM engrams WHERE {condition}{live.sql}"
            return int(db.execute(query, (*values, *live.values)).fetchone()[0])

    def session_seqs(self, namespace: str, session: str, limit: int) -> list[int]:
        """Return the last `limit` seqs of one session, in ascending order."""
        condition, values = conditions(Filter(namespace, session), "")
        with self._file.reading() as db:
            live = unexpired(db, *ALONE)
            query = f"SELECT seq FROM engrams WHERE {condition}{live.sql} ORDER BY seq DESC LIMIT ?"
            rows = db.execute(query, (*values, *live.values, limit))
            return [int(row[0]) for row in rows][::-1]

    def namespace_number(self, namespace: str) -> int | None:
        """Return the number of a namespace; None if it holds no engram."""
        with self._file.reading() as db:
            row = db.execute("SELECT number FROM namespaces WHERE name = ?", (namespace,)).fetchone()
        return None if row is None else int(row[0])

    def speakers(self, namespace: int) -> dict[str, int]:
        """Return the numbers of the speakers of a namespace, by name."""
        with self._file.reading() as db:
            return dict(db.execute("SELECT name, number FROM speakers WHERE namespace = ?", (namespace,)).fetchall())

    def namespaces(self, prefix: str = "", limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return the namespaces whose name begins with `prefix` and comes after `after`, by name."""
        with self._file.reading() as db:
            return count_namespaces(db, prefix, -1 if limit is None else limit, after)

    def sessions(self, namespace: str, limit: int | None = None, after: str | None = None) -> list[tuple[str, int]]:
        """Return the sessions of a namespace that began after the session `after`, in the order in which they began."""
        with self._file.reading() as db:
            number = 0 if after is None else session_number(db, namespace, after)
            if number is None:
                raise NotFound(f"no session {after!r} in the namespace {namespace!r} of {self.description}")
            return count_sessions(db, namespace, -1 if limit is None else limit, number)

    def stats(self) -> StoreStats:
        """Return counts over the whole store."""
        with self._file.reading() as db:
            counts, documents = totals(db), count_documents(db)
        files = [] if self._file.in_memory else [self.description + suffix for suffix in ("", "-wal", "-shm")]
        return StoreStats(*counts, documents, sum(map(size_of, files)))

    # Log.

    def head(self) -> str:
        """Return the cursor after the last change."""
        with self._file.reading() as db:
            return str(self._head(db))

    def changes(self, cursor: str, limit: int) -> Changes:
        """Return the changes after `cursor`."""
        with self._file.reading() as db:
            # Read in this order: the head must not be ahead of the engrams, nor an engram ahead of its deletion.
            head = self._head(db)
            start = head.start(cursor, self._pruned(db))
            appended, more = self._records(db, start.appended, limit)
            query = "SELECT namespace, seq, number FROM deletions WHERE number > ? ORDER BY number LIMIT ?"
            rows = db.execute(query, (start.deleted, DELETIONS_AT_ONCE)).fetchall()
        last = appended[-1].seq if appended else start.appended
        end = Position(last if more else max(last, head.appended), rows[-1][2] if rows else start.deleted)
        deleted = [Key(namespace, seq) for namespace, seq, _ in rows]
        return Changes(appended, deleted, str(end), more or len(rows) == DELETIONS_AT_ONCE)

    def _records(self, db: sqlite3.Connection, after: int, limit: int) -> tuple[list[Record], bool]:
        """The records after a seq, and whether the batch ended early."""
        records: list[Record] = []
        room = RECORD_CHARACTERS
        rows = db.execute(f"{RECORD} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        for row in rows:
            records.append(Record._make(row))
            room -= len(row[-1])
            if room < 0:
                break
        rows.close()
        return records, room < 0 or len(records) == limit

    def distance(self, start: str, end: str) -> Distance:
        """Return the number of changes between two cursors."""
        return distance(start, end)

    def skip(self, cursor: str, keep: int) -> str:
        """Return a cursor after which about the last `keep` engrams follow, and all deletions that follow `cursor`."""
        with self._file.reading() as db:
            head = self._head(db)
            return str(head.keeping(head.start(cursor, self._pruned(db)), keep))

    def _head(self, db: sqlite3.Connection) -> Position:
        appended, deleted = db.execute(HEAD).fetchone()
        return Position(int(appended or 0), int(deleted or 0))

    def _pruned(self, db: sqlite3.Connection) -> int:
        row = db.execute("SELECT value FROM counters WHERE name = 'pruned'").fetchone()
        return int(row[0]) if row else 0

    # Maintenance.

    def compact(self) -> None:
        """Rewrite the file and truncate SQLite's log, so that neither holds text of what was deleted.

        Prunes the deletions that were logged before the previous call. Raises `MemoryLocked` if another process keeps
        reading.
        """
        if self.read_only:
            raise MemoryReadOnly(f"{self.description} is open for reading only; open it without read_only to compact")
        with self._file.writing() as db:
            compacted = "(SELECT value FROM counters WHERE name = 'compacted')"
            db.execute(f"UPDATE counters SET value = {compacted} WHERE name = 'pruned'")
            db.execute("DELETE FROM deletions WHERE number <= (SELECT value FROM counters WHERE name = 'pruned')")
            db.execute("UPDATE counters SET value = ? WHERE name = 'compacted'", (self._head(db).deleted,))
        self._file.vacuum()
        for aside in [] if self._file.in_memory else logs_aside(self.description):
            log.warning("%s, the log of a file that was replaced, may hold forgotten text; delete it by hand", aside)

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()


def pages(values: Sequence[T]) -> Iterator[list[T]]:
    """Iterate over `values` in parts of at most `PAGE`."""
    for start in range(0, len(values), PAGE):
        yield list(values[start : start + PAGE])


def check_path(path: str, read_only: bool) -> None:
    """Raise an error if `path` is a folder, or if a file to be read does not exist."""
    if os.path.isdir(path):
        raise MemoryReadOnly(f"cannot open {path}: it is a folder; give the path of a file")
    if read_only and not os.path.exists(path):
        raise NotFound(f"there is no memory at {path}; open it without read_only to make one")


def must_read_only(path: str) -> bool:
    """Return whether the file exists, and it or its folder, where SQLite's log must be, cannot be written."""
    if path == IN_MEMORY or not os.path.exists(path):
        return False
    return not (os.access(path, os.W_OK) and os.access(folder_of(path), os.W_OK))


def uri_of(path: str, read_only: bool) -> str | None:
    """Return the URI for SQLite; None for a database in RAM."""
    if path == IN_MEMORY:
        return None
    uri = f"file:{quote(os.path.abspath(path))}"
    if not read_only:
        return uri
    # Without write access to the folder SQLite cannot share a log. `immutable` misses nothing if there is no log.
    alone = not os.path.exists(path + "-wal") and not os.access(folder_of(path), os.W_OK)
    return f"{uri}?mode=ro" + ("&immutable=1" if alone else "")


def folder_of(path: str) -> str:
    """Return the folder of a file; of its target, if the path is a symbolic link."""
    return os.path.dirname(os.path.realpath(path))


def size_of(path: str) -> int:
    """Return the size of a file in bytes; 0 if it does not exist."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
