"""The SQLite file of uses: for each engram that was used, its id and how it was used.

Owns the file. It holds no text and no name. Whatever is wrong with it, a memory works without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

from engram.errors import EngramError, MemoryDamaged
from engram.parts import in_parts
from engram.store.sqlite.connections import Database
from engram.store.sqlite.store import uri_of
from engram.strength.rule import HALF_LIFE, Use, counted

APPLICATION_ID = 0x456E6775
"""Marks a SQLite file as one of uses ("Engu")."""
VERSION = 1

TABLE = (
    "CREATE TABLE uses (id TEXT PRIMARY KEY, amount REAL NOT NULL, day INTEGER NOT NULL, before INTEGER NOT NULL)"
    " WITHOUT ROWID"
)
"""Schema version 1. The columns are the fields of `rule.Use`."""
AT_ONCE = 500
"""Ids that one query names."""
KEPT = int(12 * HALF_LIFE)
"""Days after its last use for which a row is kept: after so many half-lives it adds nothing that can be seen."""


class UseDatabase(Database):
    """The file of uses. Safe to use from threads and from several processes. A use may be lost in a power cut."""

    display_name = "file of uses"
    not_ours_hint = "not a file of uses of Engram; move it away"
    application_id = APPLICATION_ID
    version = VERSION
    idle_readers = 4

    def __init__(self, path: str, *, read_only: bool = False, wait: float = 2.0) -> None:
        """Open or create the file at `path`. Raises an `EngramError` that names it if that is not possible."""
        super().__init__(path, wait=wait, read_wait=wait, uri=uri_of(path, read_only))
        self.read_only = read_only
        self.open()

    def ready(self, version: int) -> None:
        """Create the table if the file is new."""
        if self.read_only:
            if not version:
                raise MemoryDamaged(f"{self.path} is empty")
            return
        self.writer.execute("PRAGMA synchronous=NORMAL")
        self.writer.execute("PRAGMA secure_delete=ON")
        if not version:
            self.use_log()
            self.migrate(0, create_table)

    def translate_error(self, error: sqlite3.Error | OSError, doing: str) -> EngramError:
        """Translate an error. A damaged file can be deleted."""
        translated = super().translate_error(error, doing)
        if isinstance(translated, MemoryDamaged) or type(error) is sqlite3.DatabaseError:
            return MemoryDamaged(f"{self.path} is damaged ({error}); delete it: only counts of use are lost")
        return translated

    def uses(self, ids: Sequence[str]) -> dict[str, Use]:
        """Return the uses of engrams, by id; those without any are left out."""
        with self.reading() as db:
            return {id: use for part in in_parts(ids, AT_ONCE) for id, use in rows_of(db, part)}

    def count(self, days: Sequence[tuple[str, int]]) -> None:
        """Count a use of each engram on a day, in one commit, and delete what was used very long before."""
        with self.writing() as db:
            known = {id: use for part in in_parts([id for id, _ in days], AT_ONCE) for id, use in rows_of(db, part)}
            rows = [(id, *counted(known.get(id), day)) for id, day in days]
            db.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?, ?, ?)", rows)
            db.execute("DELETE FROM uses WHERE day < ?", (max(day for _, day in days) - KEPT,))

    def delete(self, ids: Iterable[str]) -> None:
        """Delete the uses of engrams."""
        with self.writing() as db:
            db.executemany("DELETE FROM uses WHERE id = ?", ((id,) for id in ids))

    def keep(self, existing: Callable[[Sequence[str]], Iterable[str]]) -> None:
        """Delete the uses of engrams that do not exist. existing: returns those of some ids that do."""
        with self.reading() as db:
            ids = [id for (id,) in db.execute("SELECT id FROM uses").fetchall()]
        gone = [id for part in in_parts(ids, AT_ONCE) for id in set(part).difference(existing(part))]
        if gone:
            self.delete(gone)


def create_table(db: sqlite3.Connection) -> None:
    """Create schema version 1."""
    db.execute(TABLE)


def rows_of(db: sqlite3.Connection, ids: Sequence[str]) -> Iterator[tuple[str, Use]]:
    """Yield the rows with some ids, at most `AT_ONCE`."""
    query = f"SELECT id, amount, day, before FROM uses WHERE id IN ({', '.join('?' * len(ids))})"
    for id, *fields in db.execute(query, ids):
        yield id, Use(*fields)
