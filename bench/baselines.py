"""References for speed: the cost of the same text in SQLite, in SQLite's FTS5 and in Tantivy, each alone.

Owns their schemas and queries. The references store and search text, and have no other function of a memory.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import tantivy

from bench.generate import GeneratedQuestion, Turn

HITS = 10
COMMIT = 1_000
"""Rows per commit, as in `Memory.remember_many`."""
HEAP = 64 << 20

WORD = re.compile(r"[a-z0-9]+")
T = TypeVar("T")


class Bare:
    """One table in one SQLite file, with the settings of Engram's store: the cost of durability alone."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE turns (number INTEGER PRIMARY KEY, text TEXT NOT NULL)")

    def insert(self, text: str) -> None:
        """Insert one row, durably."""
        self._db.execute("INSERT INTO turns (text) VALUES (?)", (text,))

    def insert_many(self, texts: Iterable[str]) -> None:
        """Insert many rows, with a durable commit after each `COMMIT` rows."""
        for batch in batches(texts, COMMIT):
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO turns (text) VALUES (?)", [(text,) for text in batch])
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Fts5:
    """SQLite's full-text index: stemmed, ranked by its BM25, matches any word of the question."""

    def __init__(self, path: Path, spread: bool = False) -> None:
        """`spread`: restrict queries to the namespace of the question, which each row holds as an indexed word."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._spread = spread

    def build(self, turns: Iterable[Turn]) -> None:
        """Build the table in one commit."""
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE VIRTUAL TABLE turns USING fts5 (text, space, tokenize = 'porter unicode61')")
        self._db.execute("BEGIN")
        rows = ((turn.text, one_word(turn.namespace)) for turn in turns)
        self._db.executemany("INSERT INTO turns (text, space) VALUES (?, ?)", rows)
        self._db.execute("COMMIT")

    def search(self, question: GeneratedQuestion) -> list[str]:
        """The texts of the best rows."""
        query = "text : (" + " OR ".join(f'"{word}"' for word in WORD.findall(question.text.lower())) + ")"
        if self._spread:
            query = f'space : "{one_word(question.namespace)}" AND ({query})'
        rows = self._db.execute("SELECT text FROM turns WHERE turns MATCH ? ORDER BY rank LIMIT ?", (query, HITS))
        return [str(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Tantivy:
    """Tantivy alone: stemmed, ranked by its BM25, matches any word of the question, stores the text."""

    def __init__(self, folder: Path, spread: bool = False) -> None:
        """`spread`: restrict queries to the namespace of the question, a required term of the query."""
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("text", stored=True, tokenizer_name="en_stem", index_option="freq")
        builder.add_text_field("space", stored=False, tokenizer_name="raw", index_option="basic")
        self._schema = builder.build()
        folder.mkdir(exist_ok=True)
        self._index = tantivy.Index(self._schema, str(folder))
        self._searcher = self._index.searcher()
        self._spread = spread

    def build(self, turns: Iterable[Turn]) -> None:
        """Build the index in one commit, and wait until its segments are merged."""
        writer = self._index.writer(HEAP, 1)
        for turn in turns:
            document = tantivy.Document()
            document.add_text("text", turn.text)
            document.add_text("space", turn.namespace)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, question: GeneratedQuestion) -> list[str]:
        """The texts of the best documents."""
        query = self._index.parse_query(" ".join(WORD.findall(question.text.lower())), ["text"])
        if self._spread:
            space = tantivy.Query.term_query(self._schema, "space", question.namespace)
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, space), (tantivy.Occur.Must, query)])
        hits = self._searcher.search(query, HITS, count=False).hits
        return [str(self._searcher.doc(address).get_first("text")) for _, address in hits]

    def close(self) -> None:
        """Do nothing: the files are mapped, and unmapped when the object is garbage-collected."""


def one_word(namespace: str) -> str:
    """A namespace as a single word for FTS5's tokenizer."""
    return namespace.replace("-", "")


def batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in lists of `size`, the last one shorter."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
