"""What is wrong with a memory, and what of it can be saved.

Owns looking and saving; never changes the memory it looks at: what is damaged is read around, into a new file. The
index is only judged here, since `Memory.reindex` makes it again from the store.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engram.encode import Encoder, default_table
from engram.engram import Engram
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.index import Index
from engram.memory import checked
from engram.store import SqliteStore
from engram.store.schema import APPLICATION_ID, VERSION
from engram.store.sqlite import engram_of

SPAN = 512
"""Rows read at a time around damage."""

BATCH = 1_000
"""Engrams saved in one commit."""

COLUMNS = "seq, id, namespace, session, role, speaker, text, at, recorded, kind, source, metadata"

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The state of a memory."""

    path: str
    problems: tuple[str, ...]
    """What is wrong with the database; empty if nothing."""
    readable: int
    """Engrams that can be read: all of them, if there is no problem."""
    lost: int | None
    """Engrams known of that cannot be read; None where even that is unknown."""
    format: int | None
    """The version of the file's format, if it can be read."""
    index: str
    """ "good", "behind", "missing", or "damaged: ..."; recall answers from the store meanwhile."""
    unindexed: int
    """Engrams that the index does not hold yet."""
    store_bytes: int
    index_bytes: int

    @property
    def healthy(self) -> bool:
        """Whether nothing needs to be done: an index that is missing or behind makes itself."""
        return not self.problems and not self.index.startswith("damaged")


@dataclass(slots=True)
class Salvage:
    """What was saved from a damaged memory into a new one."""

    path: str
    target: str
    saved: int = 0
    lost: int | None = None
    """Engrams known of that could not be read; None where even that is unknown."""
    lost_ids: list[str] = field(default_factory=list)
    """The ids of the lost, as far as they are known."""
    unnamed: int = 0
    """Engrams whose namespace, session or speaker had lost its name and got another ("recovered-<number>")."""


def examine(path: str | os.PathLike[str]) -> Report:
    """Look at the memory at `path` as a whole: reads all of it. Raises `NotFound` if there is no file."""
    where = _there(path)
    problems, readable, lost, version, last = _examine_store(where)
    index, through, index_bytes = _examine_index(where)
    unindexed = max(0, last - through)
    if index == "good" and unindexed:
        index = "behind"
    files = [where, f"{where}-wal", f"{where}-shm"]
    size = sum(os.path.getsize(name) for name in files if os.path.exists(name))
    return Report(where, tuple(problems), readable, lost, version, index, unindexed, size, index_bytes)


def salvage(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> Salvage:
    """Save every engram that can still be read from the memory at `path` into a new one at `target`.

    Ids, times and order stay. Raises `NotFound` if `path` is not there, `EngramError` if `target` is, or if nothing
    in the file is left that SQLite can open.
    """
    where, new = _there(path), str(target)
    if os.path.exists(new):
        raise EngramError(f"{new} is already there; give a file that is not, so that nothing is overwritten")
    outcome = Salvage(where, new)
    with _opened(where) as db:
        try:
            patient = _Patient(db, os.path.getsize(where))
        except sqlite3.DatabaseError as error:
            raise EngramError(f"{where}: nothing can be read ({error}); restore it from a backup") from error
        with closing(SqliteStore(new)) as store:
            batch: list[Engram] = []
            for engram in patient.engrams():
                batch.append(engram)
                if len(batch) >= BATCH:
                    outcome.saved += _save(store, batch)
                    batch = []
            outcome.saved += _save(store, batch)
        outcome.lost_ids = patient.lost_ids()
        outcome.lost = len(outcome.lost_ids) if patient.all_known else None
        outcome.unnamed = patient.unnamed
    return outcome


def _there(path: str | os.PathLike[str]) -> str:
    where = os.fspath(path)
    if not os.path.isfile(where):
        raise NotFound(f"there is no memory at {where}; check the path")
    return where


def _save(store: SqliteStore, engrams: list[Engram]) -> int:
    """Keep engrams in the new memory; damage can have left two with one id, of which the first stays."""
    try:
        return sum(store.append(engrams))
    except InvalidEngram:
        count = 0
        for engram in engrams:
            try:
                count += sum(store.append([engram]))
            except InvalidEngram:
                continue
        return count


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    """A connection that cannot change the file or anything beside it."""
    with ExitStack() as stack:
        if os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal"):
            # Reading a log needs a file for sharing beside it, and repairs what a crash left: in a copy.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engram-doctor-"))
            copy = os.path.join(folder, "memory.db")
            shutil.copyfile(path, copy)
            shutil.copyfile(f"{path}-wal", f"{copy}-wal")
            uri = f"file:{quote(copy)}"
        else:
            uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
        db = stack.enter_context(closing(sqlite3.connect(uri, uri=True)))
        # Damaged text need not be UTF-8: it is decoded row by row, to lose that row alone.
        db.text_factory = bytes
        yield db


def _examine_store(path: str) -> tuple[list[str], int, int | None, int | None, int]:
    """Problems, readable and lost engrams, format, and the highest seq given out."""
    with _opened(path) as db:
        try:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            marked = int(db.execute("PRAGMA application_id").fetchone()[0])
            if marked != APPLICATION_ID:
                return ["it is a SQLite file but not an Engram memory"], 0, None, None, 0
            if version > VERSION:
                return [f"its format {version} is newer than this Engram ({VERSION})"], 0, None, version, 0
            found = _integrity(db)
            patient = _Patient(db, os.path.getsize(path))
        except sqlite3.DatabaseError as error:
            return [f"SQLite cannot read it: {error}"], 0, None, None, 0
        readable = sum(1 for _ in patient.engrams())
        lost = patient.lost_ids()
        if patient.unnamed:
            found.append(f"{patient.unnamed} engrams have lost the name of their namespace, session or speaker")
        if lost and not found:
            found.append(f"{len(lost)} engrams cannot be read")
        return found, readable, len(lost) if patient.all_known else None, version, patient.last


def _integrity(db: sqlite3.Connection) -> list[str]:
    """What SQLite's own check finds."""
    try:
        rows = db.execute("PRAGMA integrity_check(20)").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    texts = (row[0].decode(errors="replace") if isinstance(row[0], bytes) else str(row[0]) for row in rows)
    return [line for text in texts if text != "ok" for line in text.splitlines() if not line.startswith("***")]


def _examine_index(path: str) -> tuple[str, int, int]:
    """The state of the index beside the file, the seq it reaches, and its bytes."""
    folder = Path(path + ".index")
    encoder = Encoder(default_table())
    index = Index(folder, encoder.fingerprint, encoder.token_type)
    if not (folder / "state.json").exists():
        return "missing", 0, index.bytes()
    return f"damaged: {index.damage}" if index.damage else "good", index.through, index.bytes()


class _Patient:
    """A database that may be damaged, read as far as it goes."""

    def __init__(self, db: sqlite3.Connection, size: int) -> None:
        """Raises `sqlite3.DatabaseError` if not even the list of tables can be read."""
        self._db = db
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._read: set[int] = set()
        self._known, self.all_known = self._ids()
        """Seqs and ids as the index of the ids has them, and whether it could be read to its end."""
        self.last = self._last(size)
        self.unnamed = 0
        self._names = {table: self._read_names(table) for table in ("namespaces", "sessions", "speakers")}

    def engrams(self) -> Iterator[Engram]:
        """Every engram that can be read, in the order of appending."""
        query = f"SELECT {COLUMNS} FROM engrams WHERE seq BETWEEN ? AND ? ORDER BY seq"
        low = 1
        while low <= self.last:
            # Over what was forgotten in one step, where the table can still tell.
            (following,) = self._row("SELECT min(seq) FROM engrams WHERE seq >= ?", low) or (low,)
            if following is None:
                return
            low = max(low, int(following))
            for row in self._span(query, low, min(self.last, low + SPAN - 1)):
                engram = self._engram(row)
                if engram is not None:
                    self._read.add(int(row[0]))
                    yield engram
            low += SPAN

    def lost_ids(self) -> list[str]:
        """The ids that are known of and were not read by `engrams`."""
        return [str(uuid.UUID(bytes=key)) for seq, key in sorted(self._known.items()) if seq not in self._read]

    def _ids(self) -> tuple[dict[int, bytes], bool]:
        known: dict[int, bytes] = {}
        try:
            # This index holds all that is asked for, so that the table itself is not touched.
            rows = self._db.execute("SELECT seq, id FROM engrams INDEXED BY engrams_by_id")
            known.update((seq, key) for seq, key in rows if isinstance(seq, int) and len(key) == 16)
        except sqlite3.DatabaseError:
            return known, False
        return known, True

    def _last(self, size: int) -> int:
        """The highest seq there can be."""
        if self.all_known:
            known = max(self._known, default=0)
            row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'engrams'")
            return max(known, int(row[0])) if row and isinstance(row[0], int) and row[0] < known + size else known
        row = self._row("SELECT max(seq) FROM engrams")
        found = int(row[0]) if row and isinstance(row[0], int) else 0
        # No row takes less than some 50 bytes.
        return max([found, *self._known]) or size // 50

    def _row(self, query: str, *values: object) -> Row | None:
        try:
            row: Row | None = self._db.execute(query, values).fetchone()
        except sqlite3.DatabaseError:
            return None
        return row

    def _span(self, query: str, low: int, high: int) -> list[Row]:
        """The rows between two seqs; where that fails, those of its halves, down to single rows."""
        try:
            return self._db.execute(query, (low, high)).fetchall()
        except sqlite3.DatabaseError:
            if low >= high:
                return []
            middle = (low + high) // 2
            return self._span(query, low, middle) + self._span(query, middle + 1, high)

    def _read_names(self, table: str) -> dict[int, str]:
        """Names by number: from the table, and what it has lost from its index, which holds them too."""
        names: dict[int, str] = {}
        for source in (table, f"{table} INDEXED BY sqlite_autoindex_{table}_1"):
            try:
                for number, name in self._db.execute(f"SELECT number, name FROM {source}"):
                    if isinstance(name, bytes):
                        names.setdefault(int(number), name.decode())
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                continue
        return names

    def _engram(self, row: Row) -> Engram | None:
        """The engram in a row, or None if what it says cannot be one."""
        values = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in row]
        values[1] = row[1]
        unnamed = False
        for place, table in ((2, "namespaces"), (3, "sessions"), (5, "speakers")):
            number = row[place]
            if number is not None:
                values[place] = self._names[table].get(number)
                unnamed = unnamed or values[place] is None
                values[place] = values[place] or f"recovered-{number}"
        try:
            engram = checked(engram_of(tuple(values)))
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError):
            return None
        self.unnamed += unnamed
        return engram
