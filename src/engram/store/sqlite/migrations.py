"""The tables of the SQLite store, as numbered migrations.

Each migration commits together with its number (`PRAGMA user_version`), so a file always has one complete version. The
format is documented in docs/format.md. A released migration never changes; a new one is added at the end.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x456E6772
"""Marks a SQLite file as an Engram memory ("Engr")."""


def create_tables(db: sqlite3.Connection) -> None:
    """Version 1. Numbers are never reused (AUTOINCREMENT), because the index identifies engrams by them."""
    db.execute("CREATE TABLE namespaces (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)")
    for table in ("sessions", "speakers"):
        db.execute(
            f"CREATE TABLE {table} (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL,"
            " name TEXT NOT NULL, UNIQUE (namespace, name))"
        )
    db.execute(
        "CREATE TABLE engrams ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        " id BLOB NOT NULL,"  # the 16 bytes of the UUID
        " namespace INTEGER NOT NULL,"
        " session INTEGER NOT NULL,"
        " speaker INTEGER,"
        " role INTEGER NOT NULL,"  # position in engram.ROLES
        " at INTEGER NOT NULL,"  # microseconds since 1970, UTC
        " recorded INTEGER NOT NULL,"  # recorded_at - at, in microseconds
        " kind TEXT,"  # NULL: turn
        " source TEXT,"
        " metadata TEXT,"  # JSON; NULL: {}
        " text TEXT NOT NULL)"
    )
    db.execute("CREATE UNIQUE INDEX engrams_by_id ON engrams (id)")
    db.execute("CREATE INDEX engrams_by_namespace ON engrams (namespace)")
    db.execute("CREATE INDEX engrams_by_session ON engrams (session)")
    # Deleted engrams that the index still holds: numbers only, no text.
    db.execute("CREATE TABLE forgotten (seq INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    db.execute("INSERT INTO counters VALUES ('forgets', 0)")
    # Identifies this memory, so that an index of another one is not used for it.
    db.execute("INSERT INTO counters VALUES ('identity', ?)", (secrets.randbits(63),))


def renew_identity(db: sqlite3.Connection) -> None:
    """Give a copy of a memory another identity: the index of the original does not fit it, once either has changed."""
    db.execute("UPDATE counters SET value = ? WHERE name = 'identity'", (secrets.randbits(63),))


def log_deletions(db: sqlite3.Connection) -> None:
    """Version 2. A log of deletions, which any number of indexes can read, replaces the queue `forgotten`.

    The queue is not copied: its engrams can be only in an index of an older format, and such an index is rebuilt.
    """
    db.execute(
        "CREATE TABLE deletions ("
        " number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, seq INTEGER NOT NULL)"
    )
    db.execute("DROP TABLE forgotten")
    db.execute("DELETE FROM counters WHERE name = 'forgets'")
    # The last deletion that was logged at the latest `compact`, and the last one that was pruned.
    db.execute("INSERT INTO counters VALUES ('compacted', 0), ('pruned', 0)")


def imitate_version_2(db: sqlite3.Connection) -> None:
    """Let the store's queries run on a file of version 1 that can only be read, by an empty temporary log."""
    db.execute("PRAGMA temp_store=MEMORY")
    # Without AUTOINCREMENT, which would hide the table of last numbers in the file.
    db.execute("CREATE TEMP TABLE deletions (number INTEGER PRIMARY KEY, namespace INTEGER, seq INTEGER)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (create_tables, log_deletions)
VERSION = len(MIGRATIONS)
