"""Erasure: removes the names of forgotten namespaces and sessions from the server database.

The memory decides which names are in use. Keyed hashes stay, so that a forgotten conversation that is sent again is not
stored again. Names of valid keys stay too: a key that covers a namespace must know its name. What a server is writing
("accepted") is left alone, because the memory holds it a moment later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from engram.memory import Memory
from engram.serve.conversations.hashes import Hashes
from engram.serve.database import ServerDatabase, Transaction, server_database_path
from engram.store.base import CursorExpired, Log

ERASED = "(erased)"
"""Stands for the namespace and the name of a revoked key whose namespace was forgotten."""

DELETE_SESSION = (
    "DELETE FROM sessions WHERE place = ? AND NOT EXISTS"
    " (SELECT 1 FROM nodes WHERE state = 0 AND nodes.place = sessions.place)"
)


def session_names(memory: Memory, namespace: str) -> set[str]:
    """Return the names of the sessions of a namespace, also of those in quarantine; empty if the memory holds none."""
    held = {engram.session for engram in memory.quarantined(namespace=namespace)}
    return held.union(name for name, _ in memory.sessions(namespace))


def erase_namespace(memory: Memory, database: ServerDatabase, namespace: str, before: set[str]) -> None:
    """Erase the names that a deletion in `namespace` left without engrams. `before`: its sessions before the deletion.

    Erases the namespace too, and all of its sessions, if nothing of it is left. Raises `EngramError` if the file cannot
    be written; `erase_forgotten` then does the work at the next start.
    """
    hashes = Hashes(database.secret, namespace)
    with database.writing() as transaction:
        left = session_names(memory, namespace)
        if left:
            gone = before - left
            query = "DELETE FROM receipts WHERE namespace = ? AND state != 0 AND session IN"
            transaction.execute(f"{query} (SELECT value FROM json_each(?))", (namespace, json.dumps(sorted(gone))))
            keys = [hashes.session_key(name) for name in gone]
        else:
            transaction.execute("DELETE FROM receipts WHERE namespace = ? AND state != 0", (namespace,))
            rows = transaction.execute("SELECT place, name FROM sessions").fetchall()
            keys = [place for place, name in rows if hashes.session_key(name) == place]
            _erase_keys(transaction, [namespace])
        transaction.executemany(DELETE_SESSION, ((key,) for key in keys))
    if not left or gone:
        database.empty_log()


def erase_forgotten(memory: Memory, database: ServerDatabase) -> None:
    """Erase all names of which the memory holds no engram, and rewrite the file without them.

    Takes seconds for a million sessions. Raises `EngramError` if the file cannot be written or stays locked.
    """
    with database.writing() as transaction:
        # Read inside the transaction: no server can mark anything stored in the meantime.
        used = {(namespace, name) for namespace, _ in memory.namespaces() for name, _ in memory.sessions(namespace)}
        used.update((engram.namespace, engram.session) for engram in memory.quarantined())
        hashes = {namespace: Hashes(database.secret, namespace) for namespace, _ in used}
        places = {hashes[namespace].session_key(name) for namespace, name in used}
        rows = transaction.execute("SELECT place FROM sessions").fetchall()
        transaction.executemany(DELETE_SESSION, (row for row in rows if row[0] not in places))
        pairs = transaction.execute("SELECT DISTINCT namespace, session FROM receipts WHERE state != 0").fetchall()
        query = "DELETE FROM receipts WHERE namespace = ? AND session = ? AND state != 0"
        transaction.executemany(query, (pair for pair in pairs if pair not in used))
        revoked = transaction.execute("SELECT DISTINCT namespace FROM keys WHERE revoked IS NOT NULL").fetchall()
        _erase_keys(transaction, (name for (name,) in revoked if name is not None and name not in hashes))
    database.vacuum()


def erase_beside(memory: Memory) -> None:
    """Erase the names of which the memory holds no engram from the server database beside its file, if there is one."""
    path = server_database_path(memory.path)
    if Path(path).exists():
        with ServerDatabase(path) as database:
            erase_forgotten(memory, database)


def erase_at_start(memory: Memory, log: Log, database: ServerDatabase) -> None:
    """Run `erase_forgotten` if the log of the memory holds deletions since the last call."""
    head = log.head()
    with database.reading() as db:
        row = db.execute("SELECT value FROM meta WHERE name = 'erased'").fetchone()
    if row is not None and not _deletions(log, row[0], head):
        return
    erase_forgotten(memory, database)
    with database.writing() as transaction:
        transaction.execute("INSERT OR REPLACE INTO meta VALUES ('erased', ?)", (head,))


def _deletions(log: Log, start: str, end: str) -> bool:
    """Return whether something was deleted between two cursors, or whether that is unknown."""
    try:
        return log.distance(start, end).deleted != 0
    except CursorExpired:
        return True


def _erase_keys(transaction: Transaction, namespaces: Iterable[str]) -> None:
    """Erase the names of revoked keys of these namespaces."""
    query = "UPDATE keys SET namespace = ?, name = NULL WHERE namespace = ? AND revoked IS NOT NULL"
    transaction.executemany(query, ((ERASED, name) for name in namespaces))
