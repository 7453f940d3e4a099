"""A database that may be damaged, read as far as it goes.

Owns the ways around damage: halves of ranges, indexes in place of tables, a header made anew in a copy, and last the
pages themselves.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote

from engram.engram import Engram, checked
from engram.store.sqlite.migrations import APPLICATION_ID, VERSION
from engram.store.sqlite.pages import HEADER, PAGE_SIZE, TABLE_INTERIOR, TABLE_LEAF, Pages
from engram.store.sqlite.rows import engram_of

SPAN = 512
"""Rows read at a time around damage."""

MAGIC = b"SQLite format 3\0"
FRACTIONS = b"\0\x40\x20\x20"

COLUMNS = "seq, id, namespace, session, role, speaker, text, at, recorded, kind, source, metadata"

Row = tuple[Any, ...]


@contextmanager
def opened(path: str) -> Iterator[sqlite3.Connection]:
    """A connection that cannot change the file or anything beside it."""
    with ExitStack() as stack:
        logged = os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
        header, pages = mended_header(path)
        uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
        if logged or header:
            # Reading a log needs a file for sharing beside it, and repairs what a crash left: in a copy.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engram-doctor-"))
            copy = os.path.join(folder, "memory.db")
            shutil.copyfile(path, copy)
            if logged:
                shutil.copyfile(f"{path}-wal", f"{copy}-wal")
            if header:
                with open(copy, "r+b") as file:
                    file.write(header)
                    file.truncate(max(pages * PAGE_SIZE, os.path.getsize(copy)))
            uri = f"file:{quote(copy)}"
        db = stack.enter_context(closing(sqlite3.connect(uri, uri=True)))
        # Damaged text need not be UTF-8: it is decoded row by row, to lose that row alone.
        db.text_factory = bytes
        yield db


def mended_header(path: str) -> tuple[bytes, int]:
    """A header with which SQLite opens a file whose own is damaged, or that was cut off; and its number of pages.

    Empty if the file's own will do. See https://www.sqlite.org/fileformat2.html, section 1.3.
    """
    with open(path, "rb") as file:
        found = file.read(HEADER + 1)
    if len(found) <= HEADER or found[HEADER] not in (TABLE_LEAF, TABLE_INTERIOR):
        return b"", 0
    size = os.path.getsize(path)
    pages = int.from_bytes(found[28:32])
    # Bytes 16 to 23: pages of 4096 bytes, versions, no reserved bytes, fixed fractions.
    good = found[:18] == MAGIC + PAGE_SIZE.to_bytes(2) and found[20:24] == FRACTIONS
    if good and pages * PAGE_SIZE <= size:
        return b"", 0
    pages = pages if good else -(-size // PAGE_SIZE)
    header = bytearray(found[:HEADER] if good else bytes(HEADER))
    header[:24] = MAGIC + PAGE_SIZE.to_bytes(2) + (found[18:20] if good else b"\x01\x01") + FRACTIONS
    if not good:
        fields = {28: pages, 44: 4, 56: 1, 60: VERSION, 68: APPLICATION_ID}
        for offset, value in fields.items():
            header[offset : offset + 4] = value.to_bytes(4)
    return bytes(header), pages


class SalvageReader:
    """A database that may be damaged, read as far as it goes."""

    def __init__(self, db: sqlite3.Connection, path: str) -> None:
        """`db`: a connection to the file at `path`, made by `opened`."""
        self._db = db
        self._path = path
        self._read: set[int] = set()
        self._known, self.all_known = self._ids()
        """Seqs and ids as the index of the ids has them, and whether it could be read to its end."""
        self.last = self._last(os.path.getsize(path))
        """The highest seq there can be; 0 if nothing can be read."""
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

    def identity(self) -> str | None:
        """By which the store knows its own index; None if it cannot be read."""
        row = self._row("SELECT value FROM counters WHERE name = 'identity'")
        return f"{row[0]:016x}" if row and isinstance(row[0], int) else None

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
        return max([found, *self._known, *self._pages.engrams()])

    @cached_property
    def _pages(self) -> Pages:
        """The file as pages, for what SQLite cannot reach."""
        return Pages(self._path)

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
                row = self._pages.engrams().get(low)
                # What is in no index is no longer there: a page can hold what was forgotten.
                return [row] if row and (not self.all_known or low in self._known) else []
            middle = (low + high) // 2
            return self._span(query, low, middle) + self._span(query, middle + 1, high)

    def _read_names(self, table: str) -> dict[int, str]:
        """Names by number: from the table, and what it has lost from its index or the pages themselves."""
        names: dict[int, str] = {}
        damaged = False
        for source in (table, f"{table} INDEXED BY sqlite_autoindex_{table}_1"):
            try:
                for number, name in self._db.execute(f"SELECT number, name FROM {source}"):
                    if isinstance(name, bytes):
                        names.setdefault(int(number), name.decode())
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                damaged = True
        if damaged:
            for number, name in self._pages.names(table).items():
                names.setdefault(number, name)
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
