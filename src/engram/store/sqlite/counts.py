"""Counts of engrams: by namespace, by session and over the whole file, and which engrams are expired.

Owns these queries, each without policies and with them. With policies, sessions are joined before engrams, which is the
order in which the index over sessions and times can be used.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from engram.engram import MAX_NAME_BYTES
from engram.store.sqlite.policies import Times, since, times_now, unexpired

SINCE = since("n.name", ":now", ":default")
OF_NAMESPACE = (
    "SELECT {what} FROM sessions s CROSS JOIN engrams e ON e.session = s.number AND e.at >= " + SINCE
    + " WHERE s.namespace = n.number"
)  # fmt: skip
OF_SESSION = "SELECT {what} FROM engrams e WHERE e.session = s.number AND e.at >= " + SINCE

BOUNDS = f"WITH bounds AS MATERIALIZED (SELECT n.number, {SINCE} AS since FROM namespaces n)"
"""For each namespace the time before which its engrams are expired."""
EXPIRED = (
    f"{BOUNDS} SELECT e.seq FROM bounds b CROSS JOIN sessions s ON s.namespace = b.number"
    " CROSS JOIN engrams e ON e.session = s.number AND e.at < b.since"
)
"""The seqs of the expired engrams. The values are those of `Times` by name."""
EXPIRED_IN_QUARANTINE = f"quarantined.at < {since('quarantined.namespace', ':now', ':default')}"

NAMES = "n.name >= :prefix AND n.name < :last AND n.name > :after"
LAST = "\U0010ffff" * MAX_NAME_BYTES
"""SQLite compares UTF-8, and no longer name can come after this one."""


class Totals(NamedTuple):
    """Counts over the whole file."""

    engrams: int
    namespaces: int
    sessions: int
    quarantined: int


def count_namespaces(db: sqlite3.Connection, prefix: str, limit: int, after: str) -> list[tuple[str, int]]:
    """Return the namespaces whose name begins with `prefix` and comes after `after`, by name. limit: -1 for all."""
    values = {"prefix": prefix, "last": prefix + LAST, "after": after, "limit": limit}
    times = times_now(db)
    held, condition = "SELECT count(*) FROM engrams WHERE namespace = n.number", NAMES
    if times is not None:
        held = OF_NAMESPACE.format(what="count(*)")
        condition = f"{NAMES} AND EXISTS ({OF_NAMESPACE.format(what='1')})"
        values |= times._asdict()
    query = f"SELECT n.name, ({held}) FROM namespaces n WHERE {condition} ORDER BY n.name LIMIT :limit"
    return db.execute(query, values).fetchall()


def count_sessions(db: sqlite3.Connection, namespace: str, limit: int, after: int) -> list[tuple[str, int]]:
    """Return the sessions of a namespace whose number is greater than `after`, in the order in which they began."""
    values = {"namespace": namespace, "after": after, "limit": limit}
    times = times_now(db)
    held, condition = "SELECT count(*) FROM engrams e WHERE e.session = s.number", "1"
    if times is not None:
        held, condition = OF_SESSION.format(what="count(*)"), f"EXISTS ({OF_SESSION.format(what='1')})"
        values |= times._asdict()
    query = (
        f"SELECT s.name, ({held}) FROM sessions s JOIN namespaces n ON n.number = s.namespace"
        f" WHERE n.name = :namespace AND s.number > :after AND {condition} ORDER BY s.number LIMIT :limit"
    )
    return db.execute(query, values).fetchall()


def session_number(db: sqlite3.Connection, namespace: str, session: str) -> int | None:
    """Return the number of a session that holds an engram; None if there is no such session."""
    query = (
        "SELECT s.number FROM sessions s JOIN namespaces n ON n.number = s.namespace WHERE n.name = :n AND s.name = :s"
    )
    values, times = {"n": namespace, "s": session}, times_now(db)
    if times is not None:
        query += f" AND EXISTS ({OF_SESSION.format(what='1')})"
        values |= times._asdict()
    row = db.execute(query, values).fetchone()
    return None if row is None else int(row[0])


def totals(db: sqlite3.Connection) -> Totals:
    """Return counts over the whole file."""
    times = times_now(db)
    if times is None:
        tables = ("engrams", "namespaces", "sessions", "quarantined")
        return Totals(*(int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in tables))
    query = (
        f"{BOUNDS}, counted AS MATERIALIZED (SELECT s.namespace,"
        " (SELECT count(*) FROM engrams e WHERE e.session = s.number AND e.at >= b.since) AS held"
        " FROM bounds b CROSS JOIN sessions s ON s.namespace = b.number)"
        " SELECT ifnull(sum(held), 0), count(DISTINCT namespace), count(*) FROM counted WHERE held > 0"
    )
    engrams, namespaces, sessions = db.execute(query, times._asdict()).fetchone()
    live = unexpired(db, "quarantined.at", "quarantined.namespace")
    held = db.execute(f"SELECT count(*) FROM quarantined WHERE 1{live.sql}", live.values).fetchone()[0]
    return Totals(engrams, namespaces, sessions, held)


def any_expired(db: sqlite3.Connection, times: Times) -> bool:
    """Return whether any engram is expired, in quarantine too."""
    query = f"SELECT EXISTS ({EXPIRED}) OR EXISTS (SELECT 1 FROM quarantined WHERE {EXPIRED_IN_QUARANTINE})"
    return bool(db.execute(query, times._asdict()).fetchone()[0])
