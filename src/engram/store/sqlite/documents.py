"""The documents of a memory's file: the SQL of the tables `documents` and `deleted_documents`.

A version is a row with all of its names, so that each can be read alone when the file is damaged. The row of the
current version is marked, and an index of these rows finds and lists documents whatever the number of versions.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from engram.documents import MAX_VERSION, Document, DocumentInfo, DocumentKey, canonical_json, check_expected
from engram.store.sqlite.connections import Database
from engram.store.sqlite.errors import damaged
from engram.times import from_microseconds, microseconds

ROW = "number, namespace, agent, name, version, at, value"
SELECT_DOCUMENTS = f"SELECT {ROW} FROM documents"
INSERT = "INSERT {}INTO documents (namespace, agent, name, version, at, current, value) VALUES (?, ?, ?, ?, ?, ?, ?)"
KEY = "namespace = ? AND agent = ? AND name = ?"

Row = tuple[Any, ...]


class SqliteDocuments:
    """A `DocumentStore` in the file of a memory."""

    def __init__(self, file: Database) -> None:
        self._file = file

    def put(self, key: DocumentKey, value: str, at: datetime, *, expect: int | None, keep: int | None) -> int:
        """Write a new version of a document in one durable commit, and return its number."""
        names = names_of(key)
        with self._file.writing() as db:
            current = _current(db, names)
            check_expected(key, expect, current)
            version = (current or _last_deleted(db, key.namespace)) + 1
            db.execute(f"UPDATE documents SET current = NULL WHERE current = 1 AND {KEY}", names)
            db.execute(INSERT.format(""), (*names, version, microseconds(at), 1, value))
            if keep is not None:
                db.execute(f"DELETE FROM documents WHERE {KEY} AND version <= ?", (*names, version - keep))
        return version

    def get(self, key: DocumentKey, version: int | None = None) -> Document | None:
        """Return a version of a document, or None."""
        condition, values = ("current = 1", ()) if version is None else ("version = ?", (version,))
        with self._file.reading() as db:
            row = db.execute(f"{SELECT_DOCUMENTS} WHERE {KEY} AND {condition}", (*names_of(key), *values)).fetchone()
        return None if row is None else self._document(row)

    def versions(self, key: DocumentKey, limit: int | None = None, before: int | None = None) -> list[Document]:
        """Return versions of a document, the newest first."""
        query = f"{SELECT_DOCUMENTS} WHERE {KEY} AND version <= ? ORDER BY version DESC LIMIT ?"
        last = MAX_VERSION if before is None else before - 1
        with self._file.reading() as db:
            rows = db.execute(query, (*names_of(key), last, _most(limit))).fetchall()
        return [self._document(row) for row in rows]

    def delete(self, key: DocumentKey, expect: int | None = None) -> int:
        """Delete all versions of a document in one durable commit, and return their number."""
        with self._file.writing() as db:
            current = _current(db, names_of(key))
            check_expected(key, expect, current)
            if not current:
                return 0
            db.execute(
                "INSERT INTO deleted_documents VALUES (?, ?) ON CONFLICT (namespace)"
                " DO UPDATE SET version = max(version, excluded.version)",
                (key.namespace, current),
            )
            return db.execute(f"DELETE FROM documents WHERE {KEY}", names_of(key)).rowcount

    def infos(
        self,
        namespace: str | None = None,
        agent: str | None = None,
        prefix: str = "",
        limit: int | None = None,
        after: tuple[str, str, str] = ("", "", ""),
    ) -> list[DocumentInfo]:
        """Return documents without their values, by namespace, agent and name."""
        given = {"namespace": namespace, "agent": agent}
        columns = {column: value for column, value in given.items() if value is not None}
        conditions = "".join(f" AND {column} = ?" for column in columns)
        query = (
            "SELECT namespace, agent, name, version, at FROM documents WHERE current = 1"
            f" AND (namespace, agent, name) > (?, ?, ?){conditions} AND substr(name, 1, length(?)) = ?"
            " ORDER BY namespace, agent, name LIMIT ?"
        )
        values = (*after, *columns.values(), prefix, prefix, _most(limit))
        with self._file.reading() as db:
            rows = db.execute(query, values).fetchall()
        return [self._info(row) for row in rows]

    def agents(self, namespace: str, limit: int | None = None, after: str = "") -> list[tuple[str, int]]:
        """Return agents with their numbers of documents, by name."""
        query = (
            "SELECT agent, count(*) FROM documents WHERE current = 1 AND namespace = ? AND agent > ?"
            " GROUP BY agent ORDER BY agent LIMIT ?"
        )
        with self._file.reading() as db:
            return db.execute(query, (namespace, after, _most(limit))).fetchall()

    def restore(self, documents: Sequence[Document]) -> int:
        """Write versions with their numbers and times in one durable commit."""
        new = 0
        with self._file.writing() as db:
            for one in documents:
                names = (one.namespace, one.agent, one.name)
                values = (*names, one.version, microseconds(one.at), None, canonical_json(one.value))
                new += db.execute(INSERT.format("OR IGNORE "), values).rowcount
            for names in {(one.namespace, one.agent, one.name) for one in documents}:
                last = f"(SELECT max(version) FROM documents WHERE {KEY})"
                db.execute(f"UPDATE documents SET current = NULL WHERE current = 1 AND {KEY}", names)
                db.execute(f"UPDATE documents SET current = 1 WHERE {KEY} AND version = {last}", (*names, *names))
        return new

    def _document(self, row: Row) -> Document:
        try:
            return document_of(row)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise damaged(self._file.path, error) from error

    def _info(self, row: Row) -> DocumentInfo:
        try:
            namespace, agent, name, version, at = row
            return DocumentInfo(namespace, agent, name, version, from_microseconds(at))
        except (TypeError, OverflowError) as error:
            raise damaged(self._file.path, error) from error


def erase_documents(db: sqlite3.Connection, namespace: str | None) -> int:
    """Delete all documents of a namespace, or of all, in the transaction of `db`. Returns how many there were."""
    condition, values = ("1", ()) if namespace is None else ("namespace = ?", (namespace,))
    count = count_documents(db, condition, values)
    for table in ("documents", "deleted_documents"):
        db.execute(f"DELETE FROM {table} WHERE {condition}", values)
    return count


def count_documents(db: sqlite3.Connection, condition: str = "1", values: Sequence[str] = ()) -> int:
    """Return the number of documents that meet a condition; without one, of all."""
    query = f"SELECT count(*) FROM documents WHERE current = 1 AND {condition}"
    return int(db.execute(query, values).fetchone()[0])


def _most(limit: int | None) -> int:
    """Return a number of rows as SQLite takes it."""
    return -1 if limit is None else min(limit, MAX_VERSION)


def names_of(key: DocumentKey) -> tuple[str, str, str]:
    """Return the values of `KEY`."""
    return key.namespace, key.agent, key.name


def document_of(row: Row) -> Document:
    """Return the document in a row of `SELECT_DOCUMENTS`."""
    _, namespace, agent, name, version, at, value = row
    return Document(namespace, agent, name, version, from_microseconds(at), json.loads(value))


def _current(db: sqlite3.Connection, names: tuple[str, str, str]) -> int:
    """Return the current version of a document; 0 if there is none."""
    row = db.execute(f"SELECT version FROM documents WHERE current = 1 AND {KEY}", names).fetchone()
    return int(row[0]) if row else 0


def _last_deleted(db: sqlite3.Connection, namespace: str) -> int:
    """Return the highest version of a document that was deleted from a namespace; 0 if none was."""
    row = db.execute("SELECT version FROM deleted_documents WHERE namespace = ?", (namespace,)).fetchone()
    return int(row[0]) if row else 0
