"""The tables of what models proposed, beside the derived data.

Owns their schema and their queries. They hold places in turns and names of slots, no text of a turn. They are kept when
statements are derived again, because they were paid for: places are those of turns, and not of statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engram.store.base import Key

TABLES = (
    "CREATE TABLE proposed_slots ("
    " namespace INTEGER NOT NULL, seq INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,"
    " slot TEXT NOT NULL, value_start INTEGER NOT NULL, value_stop INTEGER NOT NULL, model TEXT NOT NULL,"
    " PRIMARY KEY (namespace, seq, start)) WITHOUT ROWID",
    "CREATE TABLE proposed_links ("
    " namespace INTEGER NOT NULL, older_seq INTEGER NOT NULL, older_start INTEGER NOT NULL,"
    " older_stop INTEGER NOT NULL, newer_seq INTEGER NOT NULL, newer_start INTEGER NOT NULL,"
    " newer_stop INTEGER NOT NULL, ends INTEGER NOT NULL, model TEXT NOT NULL,"
    " PRIMARY KEY (namespace, older_seq, older_start, newer_seq, newer_start)) WITHOUT ROWID",
    "CREATE INDEX proposed_links_by_newer ON proposed_links (namespace, newer_seq)",
    "CREATE TABLE proposed_titles ("
    " namespace INTEGER NOT NULL, session INTEGER NOT NULL, seq INTEGER NOT NULL, start INTEGER NOT NULL,"
    " stop INTEGER NOT NULL, model TEXT NOT NULL, PRIMARY KEY (namespace, session)) WITHOUT ROWID",
    "CREATE TABLE asked_sessions ("
    " namespace INTEGER NOT NULL, session INTEGER NOT NULL, newest INTEGER NOT NULL, asked INTEGER NOT NULL DEFAULT 0,"
    " failures INTEGER NOT NULL DEFAULT 0, retry_at REAL NOT NULL DEFAULT 0,"
    " PRIMARY KEY (namespace, session)) WITHOUT ROWID",
    "CREATE INDEX asked_sessions_due ON asked_sessions (retry_at) WHERE newest > asked",
    "CREATE TABLE model_calls ("
    " number INTEGER PRIMARY KEY, day INTEGER NOT NULL, model TEXT NOT NULL, namespace INTEGER NOT NULL,"
    " session INTEGER NOT NULL, until REAL NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,"
    " money REAL NOT NULL)",
    "CREATE TABLE model_days ("
    " day INTEGER NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL, tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL, money REAL NOT NULL, PRIMARY KEY (day, model)) WITHOUT ROWID",
    "CREATE TABLE model_counts ("
    " kind TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, reason)) WITHOUT ROWID",
    "CREATE INDEX statements_by_session ON statements (namespace, session)",
)
"""Part of schema version 2. Places are characters of a turn; days count from 1970, times are seconds since then."""

PLACED = ("proposed_slots", "proposed_links", "proposed_titles")
"""The tables whose rows are of turns."""


class Place(NamedTuple):
    """Where a sentence begins in which turn of a namespace."""

    seq: int
    start: int


class ProposedSlot(NamedTuple):
    """The attribute that a sentence fills, and where its value stands in the turn."""

    namespace: int
    seq: int
    start: int
    stop: int
    slot: str
    value_start: int
    value_stop: int
    model: str

    @property
    def place(self) -> Place:
        """That of the sentence."""
        return Place(self.seq, self.start)


class ProposedLink(NamedTuple):
    """A sentence that replaces or ends an earlier one."""

    namespace: int
    older_seq: int
    older_start: int
    older_stop: int
    newer_seq: int
    newer_start: int
    newer_stop: int
    ends: bool
    model: str

    @property
    def older(self) -> Place:
        """The place of the sentence that is closed."""
        return Place(self.older_seq, self.older_start)

    @property
    def newer(self) -> Place:
        """The place of the sentence that closes it."""
        return Place(self.newer_seq, self.newer_start)


class ProposedTitle(NamedTuple):
    """A part of a turn that says what a session is about."""

    namespace: int
    session: int
    seq: int
    start: int
    stop: int
    model: str


class Proposals(NamedTuple):
    """What models proposed of one namespace."""

    slots: Sequence[ProposedSlot] = ()
    links: Sequence[ProposedLink] = ()
    titles: Sequence[ProposedTitle] = ()


class DueSession(NamedTuple):
    """A session with statements that no model was asked about."""

    namespace: int
    session: int
    newest: int
    """Seq of the last turn that has statements."""
    asked: int
    """Seq up to which a model was asked."""
    failures: int
    """Calls in a row that failed."""


def create(db: sqlite3.Connection) -> None:
    """Create the tables, and note the sessions of the statements that there are."""
    for table in TABLES:
        db.execute(table)
    db.execute(
        "INSERT INTO asked_sessions (namespace, session, newest)"
        " SELECT namespace, session, max(seq) FROM statements GROUP BY namespace, session"
    )


def note_sessions(db: sqlite3.Connection, turns: Iterable[tuple[int, int, int]]) -> None:
    """Note that there are statements of turns: namespace, session and seq of each."""
    db.executemany(
        "INSERT INTO asked_sessions (namespace, session, newest) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET newest = max(newest, excluded.newest), retry_at = 0, failures = 0"
        " WHERE excluded.newest > newest",
        turns,
    )


def sessions_of(db: sqlite3.Connection, keys: Sequence[Key]) -> set[tuple[int, int]]:
    """Return the sessions of turns that have statements."""
    query = "SELECT DISTINCT namespace, session FROM statements WHERE namespace = ? AND seq = ?"
    return {(row[0], row[1]) for key in keys for row in db.execute(query, key)}


def delete(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    """Delete what was proposed of turns, on either side of a link."""
    for table in ("proposed_slots", "proposed_titles"):
        db.executemany(f"DELETE FROM {table} WHERE namespace = ? AND seq = ?", keys)
    db.executemany("DELETE FROM proposed_links WHERE namespace = ? AND older_seq = ?", keys)
    db.executemany("DELETE FROM proposed_links WHERE namespace = ? AND newer_seq = ?", keys)


def delete_sessions(db: sqlite3.Connection, sessions: Iterable[tuple[int, int]]) -> None:
    """Delete the notes on those of some sessions that have no statement any more."""
    db.executemany(
        "DELETE FROM asked_sessions WHERE namespace = ?1 AND session = ?2"
        " AND NOT EXISTS (SELECT 1 FROM statements WHERE namespace = ?1 AND session = ?2)",
        sessions,
    )


def erase(db: sqlite3.Connection) -> None:
    """Delete all proposals and notes on sessions. What was paid stays counted."""
    for table in (*PLACED, "asked_sessions"):
        db.execute(f"DELETE FROM {table}")


def drop(db: sqlite3.Connection, model: str | None, ask_again: bool) -> int:
    """Delete the proposals of a model, or with None of all. Returns how many. ask_again: all sessions are due again."""
    condition, values = ("", ()) if model is None else (" WHERE model = ?", (model,))
    count = sum(db.execute(f"DELETE FROM {table}{condition}", values).rowcount for table in PLACED)
    if ask_again:
        db.execute("UPDATE asked_sessions SET asked = 0, failures = 0, retry_at = 0")
    return count


def keys_of(db: sqlite3.Connection) -> list[Key]:
    """Return the keys of all turns of which something was proposed."""
    rows = db.execute(
        "SELECT namespace, seq FROM proposed_slots UNION SELECT namespace, seq FROM proposed_titles"
        " UNION SELECT namespace, older_seq FROM proposed_links UNION SELECT namespace, newer_seq FROM proposed_links"
    )
    return [Key(*row) for row in rows.fetchall()]


def insert(db: sqlite3.Connection, proposals: Proposals) -> None:
    """Store proposals. A slot or a title takes the place of the one before; a link that is known stays as it is."""
    for verb, table, rows in (
        ("REPLACE", "proposed_slots", proposals.slots),
        ("IGNORE", "proposed_links", proposals.links),
        ("REPLACE", "proposed_titles", proposals.titles),
    ):
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT OR {verb} INTO {table} VALUES ({marks})", rows)


def proposals_of(db: sqlite3.Connection, namespace: int) -> Proposals:
    """Return what was proposed of a namespace."""
    slots, links, titles = (
        db.execute(f"SELECT * FROM {table} WHERE namespace = ?", (namespace,)).fetchall() for table in PLACED
    )
    return Proposals(
        [ProposedSlot(*row) for row in slots],
        [ProposedLink(*row) for row in links],
        [ProposedTitle(*row) for row in titles],
    )


def links_from(db: sqlite3.Connection, namespace: int, seqs: Sequence[int]) -> list[ProposedLink]:
    """Return the links that close a sentence of some turns of a namespace, in the order of what closes."""
    query = f"SELECT * FROM proposed_links WHERE namespace = ? AND older_seq IN ({', '.join('?' * len(seqs))})"
    rows = db.execute(f"{query} ORDER BY newer_seq, newer_start", (namespace, *seqs)).fetchall()
    return [ProposedLink(*row) for row in rows]


def due_sessions(db: sqlite3.Connection, now: float, limit: int) -> list[DueSession]:
    """Return at most `limit` sessions with statements that no model was asked about, and that need not wait."""
    query = (
        "SELECT namespace, session, newest, asked, failures FROM asked_sessions"
        " WHERE newest > asked AND retry_at <= ? ORDER BY retry_at, newest LIMIT ?"
    )
    return [DueSession(*row) for row in db.execute(query, (now, limit)).fetchall()]


def wait(db: sqlite3.Connection, due: DueSession, until: float) -> None:
    """Let a session wait, unless something new was said in it meanwhile."""
    db.execute(
        "UPDATE asked_sessions SET retry_at = ? WHERE namespace = ? AND session = ? AND newest = ? AND asked = ?",
        (until, due.namespace, due.session, due.newest, due.asked),
    )


def asked(db: sqlite3.Connection, due: DueSession, through: int) -> None:
    """Note that a model was asked about a session up to the turn `through`."""
    db.execute(
        "UPDATE asked_sessions SET asked = max(asked, ?), failures = 0, retry_at = 0"
        " WHERE namespace = ? AND session = ?",
        (through, due.namespace, due.session),
    )


def failed(db: sqlite3.Connection, due: DueSession, until: float) -> None:
    """Note that a call failed, and until when the session waits."""
    db.execute(
        "UPDATE asked_sessions SET failures = failures + 1, retry_at = ? WHERE namespace = ? AND session = ?",
        (until, due.namespace, due.session),
    )
