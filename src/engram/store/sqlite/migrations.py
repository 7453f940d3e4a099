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


def add_origin_and_quarantine(db: sqlite3.Connection) -> None:
    """Version 3. A column for the origin, and a table for what is kept and never read by recall.

    The rows of older versions keep NULL as their origin, which `rows.ORIGIN` derives: none is rewritten. The quarantine
    holds names and no numbers, so that what is in it adds no name to the other tables.
    """
    db.execute("ALTER TABLE engrams ADD COLUMN origin INTEGER")  # position in engram.ORIGINS
    db.execute(QUARANTINED.format("TABLE quarantined", " AUTOINCREMENT"))
    db.execute("CREATE UNIQUE INDEX quarantined_by_id ON quarantined (id)")
    db.execute("CREATE INDEX quarantined_by_namespace ON quarantined (namespace)")


QUARANTINED = (
    "CREATE {} (number INTEGER PRIMARY KEY{}, id BLOB NOT NULL, namespace TEXT NOT NULL, session TEXT NOT NULL,"
    " speaker TEXT, role INTEGER NOT NULL, at INTEGER NOT NULL, recorded INTEGER NOT NULL, kind TEXT, source TEXT,"
    " metadata TEXT, text TEXT NOT NULL, origin INTEGER NOT NULL, why TEXT NOT NULL, since INTEGER NOT NULL)"
)
"""Columns as in the table of engrams, but with names. since: when it came into quarantine, as `at`."""


def add_policies(db: sqlite3.Connection) -> None:
    """Version 4. A table of policies: after which age the engrams of a namespace expire."""
    db.execute(POLICIES.format("TABLE"))


POLICIES = (
    "CREATE {} policies (namespace TEXT NOT NULL PRIMARY KEY, expire_after INTEGER CHECK (expire_after > 0))"
    " WITHOUT ROWID"
)
"""namespace: a name, '' for the default. expire_after: the age in microseconds; NULL: keep."""


def add_documents(db: sqlite3.Connection) -> None:
    """Version 5. The documents of agents' states. Each row is one version with all of its names.

    The names are in no other table, so that a document adds none to the names of engrams. No other table has as many
    columns, by which the rows of a damaged file are told apart.
    """
    db.execute(DOCUMENTS.format("TABLE documents", " AUTOINCREMENT"))
    db.execute("CREATE UNIQUE INDEX documents_by_name ON documents (namespace, agent, name, version)")
    db.execute("CREATE UNIQUE INDEX documents_current ON documents (namespace, agent, name) WHERE current = 1")
    # The highest version of a document that was deleted, so that its number is not used again.
    db.execute("CREATE TABLE deleted_documents (namespace TEXT PRIMARY KEY, version INTEGER NOT NULL)")


DOCUMENTS = (
    "CREATE {} (number INTEGER PRIMARY KEY{}, namespace TEXT NOT NULL, agent TEXT NOT NULL, name TEXT NOT NULL,"
    " version INTEGER NOT NULL, at INTEGER NOT NULL, current INTEGER, value TEXT NOT NULL)"
)
"""at: microseconds since 1970, UTC. current: 1 in the row of the highest version, else NULL. value: canonical JSON."""


def imitate_current(db: sqlite3.Connection, version: int) -> None:
    """Let the store's queries run on a file of an older version that can only be read, by temporary tables."""
    db.execute("PRAGMA temp_store=MEMORY")
    # Without AUTOINCREMENT, which would hide the table of last numbers in the file.
    if version < 2:
        db.execute("CREATE TEMP TABLE deletions (number INTEGER PRIMARY KEY, namespace INTEGER, seq INTEGER)")
    if version < 3:
        db.execute("CREATE TEMP VIEW engrams AS SELECT *, NULL AS origin FROM main.engrams")
        db.execute(QUARANTINED.format("TEMP TABLE quarantined", ""))
    if version < 4:
        db.execute(POLICIES.format("TEMP TABLE"))
    if version < 5:
        db.execute(DOCUMENTS.format("TEMP TABLE documents", ""))


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    create_tables,
    log_deletions,
    add_origin_and_quarantine,
    add_policies,
    add_documents,
)
VERSION = len(MIGRATIONS)
