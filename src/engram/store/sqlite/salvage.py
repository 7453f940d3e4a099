"""Reading a memory's file that may be damaged: examination, and salvage of what can be read.

Owns the ways around damage: halves of ranges, indexes instead of tables, a new header in a copy, and at last the pages
themselves.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import quote

from engram.documents import Document, checked_document, shown
from engram.engram import Engram, checked
from engram.errors import InvalidEngram
from engram.records import replaced_nul
from engram.store.policy import Policy
from engram.store.positions import Position
from engram.store.sqlite.documents import SELECT_DOCUMENTS, document_of
from engram.store.sqlite.errors import no_file, too_new
from engram.store.sqlite.files import has_foreign_log, log_of
from engram.store.sqlite.migrations import APPLICATION_ID, VERSION
from engram.store.sqlite.pages import HEADER, PAGE_SIZE, TABLE_INTERIOR, TABLE_LEAF, Pages
from engram.store.sqlite.policies import policy_of
from engram.store.sqlite.rows import ORIGIN, QUARANTINED, engram_of

SPAN = 512
"""Rows that one query reads."""

MAGIC = b"SQLite format 3\0"
FRACTIONS = b"\0\x40\x20\x20"

ENGRAMS = (
    "SELECT seq, id, namespace, session, role, speaker, text, at, recorded, kind, source, metadata,"
    f" {ORIGIN} FROM engrams"
)
OLD_ENGRAMS = ENGRAMS.replace(ORIGIN, ORIGIN.replace("ifnull(origin,", "ifnull(NULL,"))
"""Both read the table of engrams; the second one that of formats 1 and 2, which has no origin."""

Row = tuple[Any, ...]


@contextmanager
def opened(path: str, *, mend: bool = True) -> Iterator[sqlite3.Connection]:
    """Open a connection that cannot change the file or other files in its folder.

    mend: with another header if that of the file, which is then a memory, is damaged.
    """
    with ExitStack() as stack:
        log = log_of(path)
        logged = os.path.exists(log) and os.path.getsize(log) > 0 and not has_foreign_log(path)
        header, pages = mended_header(path) if mend else (b"", 0)
        uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"
        if logged or header:
            # SQLite writes files into the folder when it reads a log, and it repairs after a crash: so it gets a copy.
            copy = stack.enter_context(_copied(path, log if logged else None, header, pages))
            uri = f"file:{quote(copy)}"
        db = stack.enter_context(closing(sqlite3.connect(uri, uri=True)))
        # Damaged text may not be UTF-8. Decoded row by row, only that row is lost.
        db.text_factory = bytes
        yield db


@contextmanager
def _copied(path: str, log: str | None, header: bytes, pages: int) -> Iterator[str]:
    """Lend the path of a copy of a file, with a copy of its log and another header if these are given."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engram-doctor-"))
            copy = os.path.join(folder, "memory.db")
            shutil.copyfile(path, copy)
            if log is not None:
                shutil.copyfile(log, f"{copy}-wal")
            if header:
                with open(copy, "r+b") as file:
                    file.write(header)
                    file.truncate(max(pages * PAGE_SIZE, os.path.getsize(copy)))
        except OSError as error:
            raise no_file(error, error.filename2 or error.filename or tempfile.gettempdir(), "copy") from error
        yield copy


def mended_header(path: str) -> tuple[bytes, int]:
    """Return a header with which SQLite opens a file whose header is damaged or that was cut off, and its pages.

    The header is empty if the file needs none. See https://www.sqlite.org/fileformat2.html, section 1.3.
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


def refuse_newer(db: sqlite3.Connection, path: str) -> None:
    """Raise `MemoryTooNew` for a file of a newer format. In a damaged file the number may be damage, too."""
    with suppress(sqlite3.DatabaseError):
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        ours = int(db.execute("PRAGMA application_id").fetchone()[0]) == APPLICATION_ID
        if ours and version > VERSION and not check_integrity(db):
            raise too_new(path, version, VERSION)


class FileReport(NamedTuple):
    """The state of a memory's file."""

    problems: list[str]
    readable: int = 0
    """Engrams that can be read."""
    lost: int | None = None
    """Known engrams that cannot be read; None if even that is unknown."""
    format: int | None = None
    """Version of the format; None if it cannot be read."""
    head: str = ""
    """Head of the store's log, from the readable rows."""
    identity: str | None = None
    """Identity of the store; None if it cannot be read."""
    documents: int = 0
    """Versions of documents that can be read."""
    lost_documents: int | None = None
    """Known versions of documents that cannot be read; None if even that is unknown."""


def examine_file(path: str) -> FileReport:
    """Read the whole file and report its state. Raises `MemoryTooNew` as `refuse_newer` does."""
    with opened(path) as db:
        refuse_newer(db, path)
        try:
            version: int | None = int(db.execute("PRAGMA user_version").fetchone()[0])
            application_id = int(db.execute("PRAGMA application_id").fetchone()[0])
            problems = check_integrity(db)
        except sqlite3.DatabaseError as error:
            version, application_id, problems = None, APPLICATION_ID, [f"SQLite cannot read it: {error}"]
        if application_id != APPLICATION_ID:
            return FileReport(["it is a SQLite file but not an Engram memory"])
        if mended_header(path)[0]:
            problems.insert(0, "its header is damaged, or it was cut off")
        reader = SalvageReader(db, path)
        readable = sum(1 for _ in reader.engrams())
        lost = reader.lost_ids()
        if reader.unnamed:
            problems.append(f"{reader.unnamed} engrams have lost the name of their namespace, session or speaker")
        if lost and not problems:
            problems.append(f"{len(lost)} engrams cannot be read")
        if not problems and not reader.policies().complete:
            problems.append("policies cannot be read, so that expired engrams may come back")
        known = len(lost) if reader.all_known else None
        documents = sum(1 for _ in reader.documents())
        lost_documents = reader.lost_documents()
        if lost_documents and not problems:
            problems.append(f"{len(lost_documents)} versions of state documents cannot be read")
        return FileReport(
            problems,
            readable,
            known,
            version,
            str(Position(reader.last, 0)),
            reader.identity(),
            documents,
            len(lost_documents) if reader.all_documents_known else None,
        )


def check_integrity(db: sqlite3.Connection) -> list[str]:
    """Return the problems that SQLite's integrity check reports."""
    try:
        rows = db.execute("PRAGMA integrity_check(20)").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    texts = (row[0].decode(errors="replace") if isinstance(row[0], bytes) else str(row[0]) for row in rows)
    return [line for text in texts if text != "ok" for line in text.splitlines() if not line.startswith("***")]


def without_nul(engram: Engram) -> Engram:
    """Return an engram with U+FFFD in place of each NUL character."""
    fields = {field.name: getattr(engram, field.name) for field in dataclasses.fields(engram)}
    return dataclasses.replace(engram, **{name: replaced_nul(value) for name, value in fields.items()})


class TableReader:
    """Reads the readable rows of one table."""

    def __init__(
        self,
        db: sqlite3.Connection,
        query: str,
        key: str,
        pages: Callable[[], Mapping[int, Row]],
        size: int,
        names: tuple[str, ...] = (),
    ):
        """query: selects the columns, the first of which is `key`. pages: the rows that SQLite may not reach, by key.

        size: bytes of the file. names: the columns that name a row, and that the table's index "<table>_by_name" holds;
        () for a table with an index "<table>_by_id".
        """
        self._db = db
        self._query = query
        self._key = key
        self._table = query.rpartition(" ")[2]
        self._columns = names or ("id",)
        self._pages = pages
        self._read: set[int] = set()
        self._known, self.all_known = self._names()
        """Names of rows by key, from their index, and whether all of that index can be read."""
        self.last = self._last(size)
        """The highest key that is possible; 0 if nothing can be read."""

    def rows(self) -> Iterator[Row]:
        """Iterate over the rows that can be read, in their order."""
        query = f"{self._query} WHERE {self._key} BETWEEN ? AND ? ORDER BY {self._key}"
        low = 1
        while low <= self.last:
            # Skip deleted rows in one step, if the table can be read there.
            smallest = f"SELECT min({self._key}) FROM {self._table} WHERE {self._key} >= ?"
            (following,) = row_of(self._db, smallest, low) or (low,)
            if following is None:
                return
            low = max(low, int(following))
            yield from self._span(query, low, min(self.last, low + SPAN - 1))
            low += SPAN

    def count_as_read(self, row: Row) -> None:
        """Note that a row is valid."""
        self._read.add(int(row[0]))

    def lost(self) -> list[Row]:
        """Return the known names of the rows that were not read."""
        return [names for key, names in sorted(self._known.items()) if key not in self._read]

    def _names(self) -> tuple[dict[int, Row], bool]:
        known: dict[int, Row] = {}
        try:
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._table,)).fetchone():
                return known, True
            # The index holds all these columns, so that SQLite does not read the table.
            by_id = self._columns == ("id",)
            index = f"{self._table}_by_{'id' if by_id else 'name'}"
            columns = ", ".join((self._key, *self._columns))
            for key, *names in self._db.execute(f"SELECT {columns} FROM {self._table} INDEXED BY {index}"):
                if isinstance(key, int) and (not by_id or len(names[0]) == 16):
                    known[key] = tuple(names)
        except sqlite3.DatabaseError:
            return known, False
        return known, True

    def _last(self, size: int) -> int:
        """The highest key that is possible."""
        if self.all_known:
            known = max(self._known, default=0)
            row = row_of(self._db, "SELECT seq FROM sqlite_sequence WHERE name = ?", self._table)
            return max(known, int(row[0])) if row and isinstance(row[0], int) and row[0] < known + size else known
        row = row_of(self._db, f"SELECT max({self._key}) FROM {self._table}")
        found = int(row[0]) if row and isinstance(row[0], int) else 0
        return max([found, *self._known, *self._pages()])

    def _span(self, query: str, low: int, high: int) -> list[Row]:
        """The rows between two keys; where that fails, the rows of both halves, down to single rows."""
        try:
            return self._db.execute(query, (low, high)).fetchall()
        except sqlite3.DatabaseError:
            if low >= high:
                row = self._pages().get(low)
                # A page can hold deleted rows: those are in no index.
                return [row] if row and (not self.all_known or low in self._known) else []
            middle = (low + high) // 2
            return self._span(query, low, middle) + self._span(query, middle + 1, high)


class ReadPolicies(NamedTuple):
    """The policies that could be read."""

    policies: list[Policy]
    complete: bool
    """Whether they are all."""


class SalvageReader:
    """Reads the readable parts of a database that may be damaged."""

    def __init__(self, db: sqlite3.Connection, path: str) -> None:
        """`db`: a connection to the file at `path` from `opened`."""
        self._db = db
        self._path = path
        size = os.path.getsize(path)
        self._engrams = TableReader(db, self._query(), "seq", lambda: self._pages.engrams, size)
        self._quarantined = TableReader(db, QUARANTINED, "number", lambda: self._pages.quarantined, size)
        names = ("namespace", "agent", "name", "version")
        self._documents = TableReader(db, SELECT_DOCUMENTS, "number", lambda: self._pages.documents, size, names)
        self.all_documents_known = self._documents.all_known
        """Whether all versions of documents are known."""
        self.last_document = self._documents.last
        """The highest number of a version that is possible; 0 if nothing can be read."""
        self.all_known = self._engrams.all_known and self._quarantined.all_known
        """Whether the ids of all engrams are known."""
        self.last = self._engrams.last
        """The highest seq that is possible; 0 if nothing can be read."""
        self.unnamed = 0
        """Engrams whose namespace, session or speaker had no name that could be read."""
        self._names = {table: self._read_names(table) for table in ("namespaces", "sessions", "speakers")}

    def engrams(self) -> Iterator[Engram]:
        """Iterate over every engram that can be read, in the order of appending; then over those in quarantine."""
        for row in self._engrams.rows():
            values, unnamed = self._named(row)
            engram = engram_or_none(values)
            if engram is not None:
                self._engrams.count_as_read(row)
                self.unnamed += unnamed
                yield engram
        for row in self._quarantined.rows():
            engram = engram_or_none(decoded(row))
            if engram is not None:
                self._quarantined.count_as_read(row)
                yield engram

    def policies(self) -> ReadPolicies:
        """Return the policies that can be read. A file of a format before 4 has none."""
        found, complete = list[Policy](), True
        try:
            tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if b"policies" not in tables:
                return ReadPolicies([], b"engrams" in tables)
            for name, age in self._db.execute("SELECT namespace, expire_after FROM policies"):
                try:
                    found.append(policy_of(name.decode(), age))
                except (InvalidEngram, AttributeError, TypeError, ValueError, OverflowError):
                    complete = False
        except sqlite3.DatabaseError:
            complete = False
        return ReadPolicies(found, complete)

    def identity(self) -> str | None:
        """Return the identity of the store; None if it cannot be read."""
        row = row_of(self._db, "SELECT value FROM counters WHERE name = 'identity'")
        return f"{row[0]:016x}" if row and isinstance(row[0], int) else None

    def lost_ids(self) -> list[str]:
        """Return the known ids that `engrams` could not read."""
        lost = (*self._engrams.lost(), *self._quarantined.lost())
        return [str(uuid.UUID(bytes=id)) for (id,) in lost]

    def documents(self) -> Iterator[Document]:
        """Iterate over every version of a document that can be read, in the order of writing."""
        for row in self._documents.rows():
            document = document_or_none(row)
            if document is not None:
                self._documents.count_as_read(row)
                yield document

    def lost_documents(self) -> list[str]:
        """Return the known versions that `documents` could not read: number, namespace, agent and name, in words."""
        return [
            f"version {version} of {', '.join(shown(bytes(name).decode(errors='replace')) for name in names)}"
            for *names, version in self._documents.lost()
        ]

    def _query(self) -> str:
        """The query of the table of engrams, which has no origin in a file of format 1 or 2."""
        try:
            columns = [row[1] for row in self._db.execute("PRAGMA table_info(engrams)")]
        except sqlite3.DatabaseError:
            return ENGRAMS
        return OLD_ENGRAMS if columns and b"origin" not in columns else ENGRAMS

    @cached_property
    def _pages(self) -> Pages:
        """The pages of the file, for what SQLite cannot reach."""
        return Pages(self._path)

    def _read_names(self, table: str) -> dict[int, str]:
        """Names by number, from the table; missing ones from its index or from the pages."""
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

    def _named(self, row: Row) -> tuple[list[Any], bool]:
        """The columns of a row of engrams with names in place of their numbers, and whether a name was lost."""
        values = decoded(row)
        unnamed = False
        for index, table in ((2, "namespaces"), (3, "sessions"), (5, "speakers")):
            number = row[index]
            if number is not None:
                values[index] = self._names[table].get(number)
                unnamed = unnamed or values[index] is None
                values[index] = values[index] or f"recovered-{number}"
        return values, unnamed


def engram_or_none(values: list[Any]) -> Engram | None:
    """Return the engram in the columns of a row; None if they are not valid.

    NUL characters, which old versions stored, are replaced with U+FFFD: a new memory refuses them.
    """
    try:
        return checked(without_nul(engram_of(tuple(values))))
    except (ValueError, TypeError, IndexError, OverflowError, RecursionError):
        return None


def document_or_none(row: Row) -> Document | None:
    """Return the document in a row of `SELECT_DOCUMENTS`; None if its columns are not valid."""
    try:
        return checked_document(document_of(tuple(one.decode() if isinstance(one, bytes) else one for one in row)))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def decoded(row: Row) -> list[Any]:
    """Return the columns of a row with text in place of bytes, except the id; with an origin if the row has none."""
    values = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in row]
    values[1] = row[1]
    if values[12] is None:
        # A row that SQLite did not read: its columns are read by the same rule, in an empty database.
        with closing(sqlite3.connect(":memory:")) as db:
            query = f"SELECT {ORIGIN} FROM (SELECT NULL AS origin, ? AS role, ? AS kind, ? AS source)"
            values[12] = db.execute(query, (values[4], values[9], values[10])).fetchone()[0]
    return values


def row_of(db: sqlite3.Connection, query: str, *values: object) -> Row | None:
    """Return the first row of a query; None if there is none or it cannot be read."""
    try:
        row: Row | None = db.execute(query, values).fetchone()
    except sqlite3.DatabaseError:
        return None
    return row
