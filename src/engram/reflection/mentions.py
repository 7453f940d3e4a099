"""Mentions: which turns of a namespace name what, for arcs and for the state of a story.

Owns two tables of the file of derived data. They hold no text: a name is the number of its key (`names.number_of`), so
what stands in a turn is read from the store, and a turn that was forgotten has nothing. Turns of everybody are read,
of the assistant too: who may state a fact is the business of the statements.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.reflection.names import names_in, number_of
from engram.store.base import Key, Record

Ints = npt.NDArray[np.int64]

TABLES = (
    "CREATE TABLE IF NOT EXISTS named_turns ("
    " namespace INTEGER NOT NULL, seq INTEGER NOT NULL, session INTEGER NOT NULL, at INTEGER NOT NULL,"
    " names BLOB NOT NULL, PRIMARY KEY (namespace, seq)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS mentions ("
    " namespace INTEGER NOT NULL, name INTEGER NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY (namespace, name, at, seq)) WITHOUT ROWID",
)
"""`names` holds int64 in the machine's order: twice the number of each key, and one more if it is written as a name."""


class Period(NamedTuple):
    """A time with a beginning and an end, both inclusive, in microseconds since 1970 in UTC."""

    since: int
    until: int


class NamedTurn(NamedTuple):
    """A turn with what it names."""

    namespace: int
    seq: int
    session: int
    at: int
    names: bytes


class TurnNames(NamedTuple):
    """The turns of a namespace, in the order of their times, with what they name."""

    seqs: Ints
    sessions: Ints
    times: Ints
    """Shape (n,), times in microseconds since 1970."""
    turn_of: Ints
    """For each mention the position of its turn: shape (m,)."""
    names: Ints
    """The number of its name: shape (m,)."""
    written: npt.NDArray[np.bool_]
    """Whether it is written as a name: shape (m,)."""


def create(db: sqlite3.Connection) -> None:
    """Create the tables if they are not there."""
    for table in TABLES:
        db.execute(table)


def clear(db: sqlite3.Connection) -> None:
    """Delete all mentions."""
    db.execute("DELETE FROM named_turns")
    db.execute("DELETE FROM mentions")


def named_turns(records: Iterable[Record]) -> list[NamedTurn]:
    """Return turns with what they name; those that name nothing, too: they are part of a session."""
    return [
        NamedTurn(
            *(record.namespace, record.seq, record.session, record.at),
            array("q", (2 * number_of(key) + is_name for key, is_name in names_in(record.text).items())).tobytes(),
        )
        for record in records
    ]


def insert(db: sqlite3.Connection, turns: Sequence[NamedTurn]) -> None:
    """Insert turns with what they name."""
    db.executemany("INSERT OR REPLACE INTO named_turns VALUES (?, ?, ?, ?, ?)", turns)
    db.executemany("INSERT OR IGNORE INTO mentions VALUES (?, ?, ?, ?)", rows_of(turns))


def delete(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    """Delete what turns name."""
    for namespace, seq in keys:
        row = db.execute("SELECT * FROM named_turns WHERE namespace = ? AND seq = ?", (namespace, seq)).fetchone()
        if row is not None:
            query = "DELETE FROM mentions WHERE namespace = ? AND name = ? AND at = ? AND seq = ?"
            db.executemany(query, rows_of([NamedTurn(*row)]))
    db.executemany("DELETE FROM named_turns WHERE namespace = ? AND seq = ?", keys)


def rows_of(turns: Sequence[NamedTurn]) -> list[tuple[int, int, int, int]]:
    """Return the rows of `mentions` of some turns."""
    return [
        (turn.namespace, value >> 1, turn.at, turn.seq)
        for turn in turns
        for value in np.frombuffer(turn.names, "=i8").tolist()
    ]


def turns_with(db: sqlite3.Connection, namespace: int, name: int, period: Period, limit: int) -> list[tuple[int, int]]:
    """Return the times and seqs of the last `limit` turns of a period that name something, the latest first."""
    query = (
        "SELECT at, seq FROM mentions WHERE namespace = ? AND name = ? AND at BETWEEN ? AND ?"
        " ORDER BY at DESC, seq DESC LIMIT ?"
    )
    return db.execute(query, (namespace, name, *period, limit)).fetchall()


def sessions_with(db: sqlite3.Connection, namespace: int, name: int, period: Period) -> list[tuple[int, int]]:
    """Return the seqs and sessions of all turns of a period that name something, in the order of time."""
    query = (
        "SELECT seq, session FROM mentions JOIN named_turns USING (namespace, seq)"
        " WHERE namespace = ? AND name = ? AND mentions.at BETWEEN ? AND ? ORDER BY mentions.at, seq"
    )
    return db.execute(query, (namespace, name, *period)).fetchall()


def last_session(db: sqlite3.Connection, namespace: int, period: Period, limit: int) -> list[int]:
    """Return the seqs of the turns of the last session that are among the last `limit` turns of a period.

    The last turn is the one that was remembered last. The latest comes first.
    """
    query = "SELECT seq, session FROM named_turns WHERE namespace = ? AND at BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?"
    rows = db.execute(query, (namespace, *period, limit)).fetchall()
    return [seq for seq, session in rows if session == rows[0][1]]


def turn_names(db: sqlite3.Connection, namespace: int, period: Period) -> TurnNames:
    """Return all turns of a namespace in a period, with what they name."""
    query = (
        "SELECT seq, session, at, names FROM named_turns WHERE namespace = ? AND at BETWEEN ? AND ? ORDER BY at, seq"
    )
    rows = db.execute(query, (namespace, *period)).fetchall()
    seqs, sessions, times = (np.array([row[column] for row in rows], np.int64) for column in range(3))
    values = np.frombuffer(b"".join(row[3] for row in rows), "=i8")
    counts = np.array([len(row[3]) // 8 for row in rows], np.int64)
    turn_of = np.repeat(np.arange(len(rows), dtype=np.int64), counts)
    return TurnNames(seqs, sessions, times, turn_of, values >> 1, (values & 1).astype(np.bool_))
