"""Conversion between engrams and rows: names to numbers, rows to engrams, filters to SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from engram.engram import ORIGINS, ROLES, Engram, metadata_json, refuse_nul
from engram.ids import id_from_bytes, id_to_bytes
from engram.store.base import Filter
from engram.times import from_microseconds, microseconds

ORIGIN = (
    "ifnull(origin, CASE WHEN source = 'mcp' THEN 4 WHEN kind = 'attachment' THEN 5 WHEN role = 1 THEN 3"
    " WHEN role = 3 THEN 6 WHEN source LIKE 'import%' THEN 2 WHEN role = 2 THEN 1 ELSE 0 END)"
)
"""The position of an engram's origin in `ORIGINS`. Rows of formats 1 and 2 hold none: source, kind and role tell it."""

COLUMNS = (
    f"e.seq, e.id, n.name, s.name, e.role, p.name, e.text, e.at, e.recorded, e.kind, e.source, e.metadata, {ORIGIN}"
    " FROM engrams e JOIN namespaces n ON n.number = e.namespace JOIN sessions s ON s.number = e.session"
    " LEFT JOIN speakers p ON p.number = e.speaker"
)
RECORD = (
    f"SELECT seq, namespace, session, ifnull(speaker, 0), role, ifnull(kind, 'turn'), at, {ORIGIN}, text FROM engrams"
)
QUARANTINED = (
    "SELECT number, id, namespace, session, role, speaker, text, at, recorded, kind, source, metadata, origin, why"
    " FROM quarantined"
)
FIELDS = "id, namespace, session, speaker, role, at, recorded, kind, source, metadata, text, origin"
# An id is unique over both tables.
INSERT = (
    f"INSERT INTO engrams ({FIELDS}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM quarantined WHERE id = ?1) ON CONFLICT (id) DO NOTHING"
)
INSERT_QUARANTINED = (
    f"INSERT INTO quarantined ({FIELDS}, why, since) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM engrams WHERE id = ?1) ON CONFLICT (id) DO NOTHING"
)

NAMES_REMEMBERED = 100_000
"""Names whose numbers are cached; of more, the cache is emptied."""

Row = tuple[Any, ...]


class Names:
    """The numbers of namespaces, sessions and speakers. A name gets a number when it is first used.

    Caches the numbers until an engram is deleted, because a deletion can delete names too.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], int] = {}
        self._last_deletion = -1

    def begin(self, db: sqlite3.Connection) -> None:
        """Check the cache. To be called at the beginning of every transaction."""
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deletions'").fetchone()
        last_deletion = int(row[0]) if row else 0
        if last_deletion != self._last_deletion or len(self._known) > NAMES_REMEMBERED:
            self._known = {}
            self._last_deletion = last_deletion

    def clear(self) -> None:
        """Empty the cache. To be called on a rollback, which takes back new numbers."""
        self._known = {}

    def number(self, db: sqlite3.Connection, table: str, namespace: int, name: str) -> int:
        """Return the number of a name in `table`; a new name gets one. `namespace` is 0 for the name of a namespace."""
        key = (table, namespace, name)
        number = self._known.get(key)
        if number is None:
            columns = {"name": name} if table == "namespaces" else {"namespace": namespace, "name": name}
            condition = " AND ".join(f"{column} = ?" for column in columns)
            values = tuple(columns.values())
            row = db.execute(f"SELECT number FROM {table} WHERE {condition}", values).fetchone()
            if row is None:
                marks = ", ".join("?" * len(values))
                db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
                row = db.execute("SELECT last_insert_rowid()").fetchone()
            number = self._known[key] = int(row[0])
        return number

    def row(self, db: sqlite3.Connection, engram: Engram) -> Row:
        """Return the values of `INSERT` for an engram. Raises `InvalidEngram` if it holds a NUL character."""
        refuse_nul(engram)
        namespace = self.number(db, "namespaces", 0, engram.namespace)
        session = self.number(db, "sessions", namespace, engram.session)
        speaker = None if engram.speaker is None else self.number(db, "speakers", namespace, engram.speaker)
        return (id_to_bytes(engram.id), namespace, session, speaker, *values_of(engram))


def quarantined_row(engram: Engram) -> Row:
    """Return the values of `INSERT_QUARANTINED`. Raises `InvalidEngram` if the engram holds a NUL character."""
    refuse_nul(engram)
    names = (engram.namespace, engram.session, engram.speaker)
    return (id_to_bytes(engram.id), *names, *values_of(engram), engram.quarantined, microseconds(datetime.now(UTC)))


def values_of(engram: Engram) -> Row:
    """Return the values of `FIELDS` after the names."""
    at = microseconds(engram.at)
    return (
        ROLES.index(engram.role),
        at,
        microseconds(engram.recorded_at) - at,
        None if engram.kind == "turn" else engram.kind,
        engram.source,
        metadata_json(engram.metadata) if engram.metadata else None,
        engram.text,
        ORIGINS.index(engram.origin),
    )


def engram_of(row: Row) -> Engram:
    """Return the engram in a row of `COLUMNS` or `QUARANTINED`."""
    _, key, namespace, session, role, speaker, text, at, recorded, kind, source, metadata, origin, *why = row
    return Engram(
        id=id_from_bytes(key),
        namespace=namespace,
        session=session,
        role=ROLES[role],
        speaker=speaker,
        text=text,
        at=from_microseconds(at),
        recorded_at=from_microseconds(at + recorded),
        kind="turn" if kind is None else kind,
        source=source,
        metadata={} if metadata is None else json.loads(metadata),
        origin=ORIGINS[origin],
        quarantined=why[0] if why else None,
    )


def conditions(where: Filter, prefix: str) -> tuple[str, list[object]]:
    """Return a filter as an SQL condition on the table of engrams, and its values. `prefix`: of the columns' names."""
    parts, values = ["1"], list[object]()
    space = "(SELECT number FROM namespaces WHERE name = ?)"
    if where.session is not None:
        numbers, names = "SELECT number FROM sessions WHERE name = ?", [where.session]
        if where.namespace is not None:
            numbers, names = f"{numbers} AND namespace = {space}", [where.session, where.namespace]
        parts.append(f"{prefix}session IN ({numbers})")
        values += names
    elif where.namespace is not None:
        parts.append(f"{prefix}namespace = {space}")
        values.append(where.namespace)
    more, others = content_conditions(where, prefix)
    return " AND ".join(parts + more), values + others


def quarantined_conditions(where: Filter, id: str | None = None) -> tuple[str, list[object]]:
    """Return a filter as an SQL condition on the table `quarantined`, and its values; only for one id if given."""
    wanted = {"namespace": where.namespace, "session": where.session, "id": None if id is None else id_to_bytes(id)}
    given = {column: value for column, value in wanted.items() if value is not None}
    more, others = content_conditions(where, "")
    return " AND ".join(["1", *(f"{column} = ?" for column in given), *more]), [*given.values(), *others]


def content_conditions(where: Filter, prefix: str) -> tuple[list[str], list[object]]:
    """Return the conditions on times, kinds and trust, which all tables of engrams have in common."""
    parts, values = list[str](), list[object]()
    for sign, moment in (("<", where.before), (">=", where.after)):
        if moment is not None:
            # The plus: found by an index over times, the rows would have to be sorted for every page.
            parts.append(f"+{prefix}at {sign} ?")
            values.append(microseconds(moment))
    if where.kinds is not None:
        parts.append(f"ifnull({prefix}kind, 'turn') IN ({', '.join('?' * len(where.kinds))})")
        values += where.kinds
    if where.trust is not None:
        parts.append(f"{ORIGIN} <= ?")
        values.append(ORIGINS.index(where.trust))
    return parts, values


def drop_unused_names(db: sqlite3.Connection, used: Sequence[tuple[int, int, int | None]]) -> None:
    """Delete the names that no engram has any more. `used`: numbers of the names of the deleted engrams."""
    spaces, sessions, speakers = (set(numbers) for numbers in zip(*used, strict=True)) if used else ((), (), ())
    delete = "DELETE FROM {} WHERE number = ? AND NOT EXISTS (SELECT 1 FROM engrams e WHERE {})"
    # By the index of namespaces, because speakers have no index.
    speaker = "e.namespace = speakers.namespace AND e.speaker = number"
    db.executemany(delete.format("speakers", speaker), ((n,) for n in speakers if n is not None))
    db.executemany(delete.format("sessions", "e.session = number"), ((n,) for n in sessions))
    db.executemany(delete.format("namespaces", "e.namespace = number"), ((n,) for n in spaces))
