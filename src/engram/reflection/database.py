"""The SQLite file of what was derived from a store: statements, and how far the store's log was read.

Owns the file: its schema, and how it is opened and made anew. It holds no text: a statement is a place in a turn, with
labels. Everything that was derived can be derived again, so the statements of another version, or of another
encoder, are deleted. What models proposed (`proposals.tables`) was paid for and stays, unless the store is another one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from engram.errors import EngramError, MemoryDamaged, MemoryReadOnly
from engram.parts import in_parts
from engram.reflection import mentions
from engram.reflection.proposals import tables
from engram.reflection.proposals.tables import Proposals, ProposedLink
from engram.store.base import Key
from engram.store.sqlite.connections import Database
from engram.store.sqlite.store import uri_of

APPLICATION_ID = 0x456E6766
"""Marks a SQLite file as one of derived data ("Engf")."""
VERSION = 2

TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE statements ("
    " number INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, seq INTEGER NOT NULL, session INTEGER NOT NULL,"
    " speaker INTEGER NOT NULL, at INTEGER NOT NULL,"
    " start INTEGER NOT NULL, stop INTEGER NOT NULL, kind INTEGER NOT NULL, slot INTEGER NOT NULL,"
    " effect INTEGER NOT NULL, own REAL NOT NULL, sure REAL NOT NULL, origin INTEGER NOT NULL, wish INTEGER NOT NULL,"
    " code BLOB NOT NULL, labels BLOB NOT NULL)",
    "CREATE INDEX statements_by_turn ON statements (namespace, seq)",
)
"""Schema version 2. Times are microseconds since 1970 in UTC; start and stop are characters of the turn."""

COLUMNS = "namespace, seq, session, speaker, at, start, stop, kind, slot, effect, own, sure, origin, wish"
MEANING = "code, labels"
UNCHECKED = "unchecked"
"""The value in `meta` that says that proposals may be of turns that were forgotten meanwhile."""
AT_ONCE = 500
"""Statements that one query names."""


class Statement(NamedTuple):
    """A sentence of a turn that says something lasting."""

    namespace: int
    seq: int
    session: int
    speaker: int
    """Number of the speaker; 0: none."""
    at: int
    """When the turn was said, in microseconds since 1970 in UTC."""
    start: int
    stop: int
    """Where it begins and ends in the text of the turn, in characters."""
    kind: int
    """Position in `labels.KINDS`."""
    slot: int
    """Position in `slots.SLOTS`; 0: none."""
    effect: int
    """Position in `labels.EFFECTS`, or `withdrawing.WITHDRAWS`."""
    own: float
    """Probability that the writer says it of themselves."""
    sure: float
    """Probability of the slot."""
    origin: int
    """Position in `engram.engram.ORIGINS`."""
    wish: bool
    """Whether its words say that it is an order for every time, or what somebody likes (`wishes.is_wish`)."""


class Stored(NamedTuple):
    """A statement with its number, by which closings name it."""

    number: int
    statement: Statement


class Meaning(NamedTuple):
    """What a statement means, as it is compared with others."""

    code: bytes
    """The code of its vector (`meaning.codes`)."""
    labels: bytes
    """The probabilities of all its labels, in 255ths (`labels.packed`)."""


class DerivedDatabase(Database):
    """The file of derived data, or its counterpart in RAM. Safe to use from threads and from several processes."""

    display_name = "derived data"
    not_ours_hint = "not derived data of Engram; move it away, and it is derived again"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = 4

    def __init__(self, path: str, made_by: str, *, read_only: bool = False, wait: float = 10.0) -> None:
        """Open or create the file at `path`; ":memory:" for RAM. made_by: identifies store, encoder and labels.

        Raises an `EngramError` that names the file if it is locked, not writable, another application's or damaged; for
        reading only, also if something else has made its rows.
        """
        super().__init__(path, wait=wait, read_wait=wait, uri=uri_of(path, read_only))
        self.read_only = read_only
        self._made_by = made_by
        self.open()

    def ready(self, version: int) -> None:
        """Create the tables if the file is new, and empty them if something else has made their rows."""
        if self.read_only:
            if version != VERSION or value_of(self.writer, "made_by") != self._made_by:
                raise MemoryReadOnly(f"{self.path} was derived by another version; reflect once with write access")
            return
        # The store holds the truth: a power cut may lose the last commits of this file, which are derived again.
        self.use_light_log()
        # Version 1 was made of statements alone, which are derived again: a new file begins with version 2.
        self.migrate(0, lambda db: None)
        self.migrate(1, make_anew)
        mentions.create(self.writer)
        with self.transaction() as db:
            if (before := value_of(db, "made_by")) != self._made_by:
                if store_of(before) != store_of(self._made_by):
                    tables.erase(db)
                clear(db)
                set_value(db, "made_by", self._made_by)

    def translate_error(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """Translate an error. A damaged file can be deleted."""
        translated = super().translate_error(error, doing)
        if isinstance(translated, MemoryDamaged) or type(error) is sqlite3.DatabaseError:
            return MemoryDamaged(
                f"{self.path} is damaged ({error}); delete it: nothing is lost, what it holds is derived again"
            )
        return translated

    def cursor(self) -> str:
        """Return the cursor of the store's log up to which it was read."""
        with self.reading() as db:
            return value_of(db, "cursor")

    @contextmanager
    def writing_durably(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction whose commit a power cut does not undo: for what cannot be derived again."""
        with self.holding("write") as db:
            db.execute("PRAGMA synchronous=FULL")
            try:
                with self.transaction():
                    yield db
            finally:
                db.execute("PRAGMA synchronous=NORMAL")

    def proposals(self, namespace: int) -> Proposals:
        """Return what models proposed of a namespace."""
        with self.reading() as db:
            return tables.proposals_of(db, namespace)

    def links_from(self, namespace: int, seqs: Sequence[int]) -> list[ProposedLink]:
        """Return the proposed links that close a sentence of some turns of a namespace."""
        with self.reading() as db:
            return tables.links_from(db, namespace, seqs)

    def of_session(self, namespace: int, session: int) -> list[Stored]:
        """Return the statements of a session, in the order in which they were remembered."""
        query = f"SELECT number, {COLUMNS} FROM statements WHERE namespace = ? AND session = ? ORDER BY seq, start"
        with self.reading() as db:
            rows = db.execute(query, (namespace, session)).fetchall()
        return [Stored(row[0], Statement(*row[1:])) for row in rows]

    def statements(self, namespace: int) -> list[Stored]:
        """Return the statements of a namespace, in the order in which they were said."""
        query = f"SELECT number, {COLUMNS} FROM statements WHERE namespace = ? ORDER BY at, seq, start"
        with self.reading() as db:
            return [Stored(row[0], Statement(*row[1:])) for row in db.execute(query, (namespace,)).fetchall()]

    def turns(self, after: Key, limit: int) -> list[Key]:
        """Return at most `limit` turns that were read, in order, from the one that comes after a key."""
        query = "SELECT namespace, seq FROM named_turns WHERE (namespace, seq) > (?, ?) ORDER BY namespace, seq LIMIT ?"
        with self.reading() as db:
            return [Key(*row) for row in db.execute(query, (*after, limit)).fetchall()]

    def meanings(
        self, namespace: int, seqs: Sequence[int]
    ) -> tuple[list[tuple[Statement, Meaning]], int, list[ProposedLink]]:
        """Return the statements of some turns of a namespace with what they mean, in the order of the turns.

        And the seq of its last turn of which there is a statement: the turns up to it were read. -1 if there is none.
        And the proposed links that close a sentence of these turns, as `links_from` returns them.
        """
        query = (
            f"SELECT {COLUMNS}, {MEANING} FROM statements WHERE namespace = ? AND seq IN ({marks(len(seqs))})"
            " ORDER BY seq, start"
        )
        size = len(Statement._fields)
        with self.reading() as db:
            rows = db.execute(query, (namespace, *seqs)).fetchall()
            (last,) = db.execute("SELECT max(seq) FROM statements WHERE namespace = ?", (namespace,)).fetchone()
            links = tables.links_from(db, namespace, seqs)
        return [(Statement(*row[:size]), Meaning(*row[size:])) for row in rows], -1 if last is None else last, links

    def meaning_of(self, numbers: Sequence[int]) -> dict[int, Meaning]:
        """Return what the statements with some numbers mean, by number; those that were deleted are left out."""
        found: dict[int, Meaning] = {}
        with self.reading() as db:
            for part in in_parts(numbers, AT_ONCE):
                query = f"SELECT number, {MEANING} FROM statements WHERE number IN ({marks(len(part))})"
                found.update((row[0], Meaning(*row[1:])) for row in db.execute(query, part).fetchall())
        return found


def make_anew(db: sqlite3.Connection) -> None:
    """Create the tables of this version in the place of those of an older one: their rows are derived again."""
    db.execute("DROP TABLE IF EXISTS statements")
    db.execute("DROP TABLE IF EXISTS meta")
    for table in TABLES:
        db.execute(table)
    tables.create(db)


def clear(db: sqlite3.Connection) -> None:
    """Delete everything that was derived: the log is read from its beginning again."""
    db.execute("DELETE FROM statements")
    mentions.clear(db)
    set_value(db, "cursor", "")
    # Such a reading does not tell which turns were forgotten.
    set_value(db, UNCHECKED, "1")


def store_of(made_by: str) -> str:
    """Return the part of `made_by` that identifies the store."""
    return made_by.partition(" ")[0]


def value_of(db: sqlite3.Connection, name: str) -> str:
    """Return a value of the table `meta`; "" if there is none."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return "" if row is None else str(row[0])


def set_value(db: sqlite3.Connection, name: str, value: str) -> None:
    """Set a value of the table `meta`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def insert(db: sqlite3.Connection, statements: Iterable[tuple[Statement, Meaning]]) -> None:
    """Insert statements."""
    values = marks(len(Statement._fields) + len(Meaning._fields))
    kept = list(statements)
    rows = ((*statement, *meaning) for statement, meaning in kept)
    db.executemany(f"INSERT INTO statements ({COLUMNS}, {MEANING}) VALUES ({values})", rows)
    newest = {(each.namespace, each.session): each.seq for each, _ in kept}
    tables.note_sessions(db, ((*session, seq) for session, seq in newest.items()))


def marks(count: int) -> str:
    """Return so many question marks, for the values of a query."""
    return ", ".join("?" * count)


def delete(db: sqlite3.Connection, keys: Sequence[Key]) -> None:
    """Delete the statements of turns, and what models proposed of them."""
    sessions = tables.sessions_of(db, keys)
    db.executemany("DELETE FROM statements WHERE namespace = ? AND seq = ?", keys)
    tables.delete(db, keys)
    tables.delete_sessions(db, sessions)
