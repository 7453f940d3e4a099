"""The tables of the SQLite store, as numbered migrations.

Each migration commits together with its own number (`PRAGMA user_version`), so a file is always at one whole version.
The format is documented in docs/format.md. A released migration is never changed; a new one is added at the end.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x456E6772
"""Marks a SQLite file as an Engram memory ("Engr")."""


def create_tables(db: sqlite3.Connection) -> None:
    """Version 1. Numbers are never given out twice (AUTOINCREMENT), because the index knows engrams by them."""
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
        " role INTEGER NOT NULL,"  # place in engram.ROLES
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
    # What every index still has to drop: numbers only, nothing of the text.
    db.execute("CREATE TABLE forgotten (seq INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    db.execute("INSERT INTO counters VALUES ('forgets', 0)")
    # Tells this memory from every other, so that an index left behind by one is not taken for another's.
    db.execute("INSERT INTO counters VALUES ('identity', ?)", (secrets.randbits(63),))


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (create_tables,)
VERSION = len(MIGRATIONS)
