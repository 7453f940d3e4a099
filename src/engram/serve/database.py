"""The SQLite file of a server, PATH.serve: keys, the messages of conversations, responses and receipts.

Owns the file: its schema, how it is opened, and its secret. The stores hold the queries: `auth.keys`,
`conversations.log` and `conversations.receipts`. The file holds keyed hashes of messages, never their text, and the
names of namespaces and sessions until `erasure` removes them.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from engram.errors import EngramError, MemoryClosed, MemoryDamaged
from engram.store.sqlite.connections import Database
from engram.store.sqlite.files import SERVER_SUFFIX

APPLICATION_ID = 0x456E6773
"""Marks a SQLite file as a server database ("Engs")."""

VERSION = 3

READ_WAIT = 0.1
"""Seconds a read waits for a lock. Locks against readers are rare, and the event loop may be the reader."""

IDLE_READERS = 8
"""Idle read connections kept open."""

TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE keys ("
    " number INTEGER PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL UNIQUE, name TEXT, namespace TEXT,"
    " prefix TEXT, admin INTEGER NOT NULL, read INTEGER NOT NULL, write INTEGER NOT NULL, erase INTEGER NOT NULL,"
    " created INTEGER NOT NULL, revoked INTEGER)",
    # place: the session key.
    "CREATE TABLE sessions (place INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE nodes ("
    " id BLOB PRIMARY KEY,"  # the 16 bytes of a UUIDv7
    " parent BLOB,"  # the message before it
    " same BLOB,"  # set for an alias: the node that is the same message in the same position
    " place INTEGER NOT NULL,"  # the session key
    " chain BLOB, pair BLOB, triple BLOB,"
    " leaf INTEGER NOT NULL,"  # 1: no node follows
    " branch INTEGER NOT NULL,"
    " state INTEGER NOT NULL,"
    " notes BLOB,"  # references to the notes put into the message; NULL: not recorded
    " engrams BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX nodes_by_chain ON nodes (chain, place) WHERE chain IS NOT NULL",
    "CREATE INDEX leaves_by_chain ON nodes (chain) WHERE leaf = 1",
    "CREATE INDEX nodes_by_pair ON nodes (pair) WHERE pair IS NOT NULL",
    "CREATE INDEX nodes_by_triple ON nodes (triple) WHERE triple IS NOT NULL",
    "CREATE INDEX nodes_accepted ON nodes (state) WHERE state = 0",
    "CREATE TABLE responses (id BLOB PRIMARY KEY, node BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE receipts ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, namespace TEXT NOT NULL,"
    " session TEXT NOT NULL, state INTEGER NOT NULL, reason TEXT, engrams BLOB NOT NULL, accepted INTEGER NOT NULL,"
    " stored INTEGER)",
    "CREATE INDEX receipts_accepted ON receipts (state) WHERE state = 0",
)
"""Schema version 1. Times are microseconds since 1970 in UTC. A list of ids is their 16-byte forms concatenated.

`add_left_out` makes it version 2, `add_profile` version 3.
"""

Transaction = sqlite3.Connection
"""A connection inside `ServerDatabase.writing`: what stores write through it commits together or not at all."""


def server_database_path(memory: str | Path) -> str:
    """Return the path of the server database of a memory file: the same for every symbolic link to the file."""
    return os.path.realpath(memory) + SERVER_SUFFIX


class ServerDatabase:
    """The database of one server. Safe to use from threads; other processes may add keys at the same time."""

    def __init__(self, path: str | Path, *, wait: float = 10.0) -> None:
        """Open or create the file at `path`; ":memory:" keeps the database in RAM. `wait`: seconds a write waits.

        Raises an `EngramError` that names the file if it is damaged, not a server database, of a newer version,
        locked or not writable, or if the disk is full.
        """
        self.path = str(path)
        self._file = ServerDatabaseFile(self.path, wait)
        self.secret = self._file.secret
        """32 random bytes, created with the file: the key of every hash in it."""

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a context manager that yields a read connection."""
        return self._file.reading()

    def writing(self) -> AbstractContextManager[Transaction]:
        """Return a context manager that yields a transaction: it commits on exit, and rolls back on an exception."""
        return self._file.writing()

    def empty_log(self) -> bool:
        """Move SQLite's log into the file and truncate it; return False if a reader prevents that."""
        with self._file.holding("erase") as db:
            return not db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def vacuum(self) -> None:
        """Rewrite the file without what was deleted. Raises `MemoryLocked` if another process keeps reading it."""
        self._file.vacuum()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._file.close()

    def __enter__(self) -> ServerDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ServerDatabaseFile(Database):
    """The file of a server database, or its counterpart in RAM."""

    display_name = "server database"
    not_ours_hint = "not the database of an Engram server; move it away, or give the memory another name"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = IDLE_READERS

    def __init__(self, path: str, wait: float) -> None:
        super().__init__(path, wait=wait, read_wait=min(wait, READ_WAIT))
        self.secret = b""
        self.open()

    def ready(self, version: int) -> None:
        """Create the tables if the file is new, and read the secret."""
        # A power cut may lose the last commits of this file. The memory loses none: it syncs every commit.
        self.use_light_log()
        # The transaction begins even if the tables exist: a file that cannot be written fails now, not in a request.
        self.migrate(0, create_tables)
        self.migrate(1, add_left_out)
        self.migrate(2, add_profile)
        row = self.writer.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()
        if row is None or not isinstance(row[0], bytes) or len(row[0]) != 32:
            raise sqlite3.DatabaseError("its secret is missing")
        self.secret = row[0]

    def translate_error(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """Translate an error. A damaged file can be moved away: `engram doctor` repairs memories only."""
        translated = super().translate_error(error, doing)
        if isinstance(translated, MemoryClosed):
            # The server is shutting down: there is nothing to open again.
            return MemoryClosed(f"the server database {self.path} was closed during a {doing}")
        if isinstance(translated, MemoryDamaged) or type(error) is sqlite3.DatabaseError:
            return MemoryDamaged(
                f"{self.path} is not the database of an Engram server, or it is damaged ({error}); move it away and"
                " the server creates a new one: no memory is lost, but keys must be created again"
            )
        return translated


def add_left_out(db: sqlite3.Connection) -> None:
    """Migrate to schema version 2: receipts say what was left out of the messages, as a list in JSON."""
    db.execute("ALTER TABLE receipts ADD COLUMN left_out TEXT")


def add_profile(db: sqlite3.Connection) -> None:
    """Migrate to schema version 3: sessions hold the quotes of their profile (`notes.profiles.pack_quotes`)."""
    db.execute("ALTER TABLE sessions ADD COLUMN profile BLOB")


def create_tables(db: sqlite3.Connection) -> None:
    """Create schema version 1 with a new secret."""
    for table in TABLES:
        db.execute(table)
    db.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_bytes(32),))
