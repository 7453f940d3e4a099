"""The inverted index: which rows of a namespace hold a term. A thin layer over Tantivy.

Owns the schema and the queries. A term is stored with its namespace's number as a prefix, so that one plain OR query
stays within a namespace and keeps Tantivy's pruning, which a filter or a boost would lose. Knows no words or vectors.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tantivy

from engram.parts import in_parts
from engram.search.base import IndexDamaged, Ints, Span, Timed
from engram.search.local.damage import damage_noticed, is_panic
from engram.search.similar import similar_by_beginning

log = logging.getLogger("engram")

WRITER_HEAP = 64 << 20
"""Bytes that Tantivy collects before it writes a segment."""

MERGES, MERGE_NICENESS = "merge_thread", 10
"""Prefix of the names of the threads in which Tantivy merges segments, and by how much nicer they are than ours."""

KEYS_AT_ONCE = 10_000
"""Keys in one query."""

COUNTS_CACHED = 10_000
"""Terms whose counts a reader caches."""

SIMILAR_READ = 5_000
"""Terms with one beginning among which similar ones are sought, the most frequent first."""

TERMS = "terms"
ROW = "row"
KEY = "key"
AT = "at"
TELLING = "telling"
EVERY = ""
"""The term that every engram of a namespace holds."""


class Document(NamedTuple):
    """An engram as this index holds it."""

    row: int
    key: int
    """`key_number` of its key."""
    namespace: int
    terms: Sequence[str]
    at: int = 0
    """Its time, in microseconds since 1970."""
    telling: int = 0
    """How much it tells of its time, as `search.local.telling` says."""


def make_schema() -> tantivy.Schema:
    """Return the schema. A document is an engram: its terms with their frequencies, and its numbers."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(TERMS, stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field(ROW, stored=False, indexed=False, fast=True)
    builder.add_unsigned_field(KEY, stored=False, indexed=True, fast=False)
    builder.add_integer_field(AT, stored=False, indexed=False, fast=True)
    builder.add_unsigned_field(TELLING, stored=False, indexed=False, fast=True)
    return builder.build()


class InvertedIndex:
    """Rows by term. Any thread may read; one thread writes."""

    def __init__(self, folder: Path | None, *, create: bool = False) -> None:
        """Open the index in `folder`, or create it if `create`; None creates one in RAM. Raises `IndexDamaged`."""
        self._schema = make_schema()
        self._links: Path | None = None
        self._linked = Path()
        with damage_noticed():
            if folder is not None and not create:
                folder = self._readable(folder)
            self._index = tantivy.Index(self._schema, None if folder is None else str(folder))
            # Terms hold no white space (`tokenizer.words`), so splitting at white space returns them.
            whitespace = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            self._index.register_tokenizer("whitespace", whitespace)
            self._index.config_reader(reload_policy="manual")
        self._writer: tantivy.IndexWriter | None = None

    def _readable(self, folder: Path) -> Path:
        """Return the folder from which the index in `folder` can be read."""
        # Tantivy creates an empty index if the folder has none.
        if not tantivy.Index.exists(str(folder)):
            raise IndexDamaged(f"there is no inverted index in {folder}")
        if os.access(folder, os.W_OK):
            return folder
        # Tantivy locks a file to read. If the folder cannot be written, it reads links in a folder that can.
        self._linked, self._links = folder, Path(tempfile.mkdtemp(prefix="engram-"))
        weakref.finalize(self, shutil.rmtree, self._links, ignore_errors=True)
        self._link()
        return self._links

    def _link(self) -> None:
        """Link every file of an index whose folder cannot be written."""
        if self._links is not None:
            for file in self._linked.iterdir():
                link = self._links / file.name
                if not file.name.endswith(".lock") and not os.path.lexists(link):
                    os.symlink(file.resolve(), link)

    # Writing.

    def start_writing(self) -> None:
        """Start to write. The caller holds the lock that allows one writer."""
        if self._writer is None:
            self._writer = self._index.writer(WRITER_HEAP, 1)
            # What a process has written that was killed before its commit: a file of the same name would fail.
            self._writer.garbage_collect_files()

    def add(self, documents: Iterable[Document]) -> None:
        """Add engrams. They are searchable after `commit`."""
        writer = self._writing()
        for engram in documents:
            prefix = f" {engram.namespace:x}:"
            document = tantivy.Document()
            # The prefix alone is a term too: its frequency is the size of the namespace.
            document.add_text(TERMS, prefix + prefix + prefix.join(engram.terms) if engram.terms else prefix)
            document.add_unsigned(ROW, engram.row)
            document.add_unsigned(KEY, engram.key)
            document.add_integer(AT, engram.at)
            document.add_unsigned(TELLING, engram.telling)
            writer.add_document(document)

    def drop(self, keys: Sequence[int]) -> None:
        """Delete engrams, by `key_number`. They are no longer found after `commit`."""
        writer = self._writing()
        for part in in_parts(keys, KEYS_AT_ONCE):
            # Not by term: tantivy-py takes a number for a signed one there, and finds nothing.
            writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, KEY, list(part)))

    def drop_after(self, row: int) -> None:
        """Delete the engrams with a greater row. They are no longer found after `commit`."""
        behind = tantivy.Query.range_query(
            self._schema, ROW, tantivy.FieldType.Unsigned, row, (1 << 63) - 1, include_lower=False
        )
        self._writing().delete_documents_by_query(behind)

    def commit(self) -> None:
        """Make all changes durable."""
        # At every commit, because a thread that has just begun has no name yet.
        let_merges_wait()
        self._writing().commit()

    def stop_writing(self) -> None:
        """Stop to write, and roll uncommitted changes back. Waits for merges in progress."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            # Without this call the writer's lock would live as long as any error that refers to the writer.
            writer.wait_merging_threads()
        except BaseException as error:
            if not isinstance(error, (ValueError, OSError)) and not is_panic(error):
                raise
            log.debug("an index writer that had failed did not stop cleanly", exc_info=True)

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise RuntimeError("InvertedIndex.start_writing was not called")
        return self._writer

    # Reading.

    def read(self) -> InvertedReader:
        """Return a reader of the last commit of any process. Raises `IndexDamaged`."""
        with damage_noticed():
            self._link()
            self._index.reload()
            return InvertedReader(self._schema, self._index.searcher())


def let_merges_wait() -> None:
    """Raise the niceness of Tantivy's merging threads, where the system has a list of threads.

    A merge can take a second of processor time while recalls run, and nothing waits for it.
    """
    tasks = Path("/proc/self/task")
    # Relative to the calling thread, so that merging yields in a nice process too; the system's limit is 19.
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + MERGE_NICENESS
    for task in tasks.iterdir() if tasks.is_dir() else ():
        # A thread can end at any time.
        with suppress(OSError):
            if (task / "comm").read_text().startswith(MERGES):
                os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)


class InvertedReader:
    """The inverted index at one commit. Safe to use from several threads."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher) -> None:
        self._schema = schema
        self._searcher = searcher
        self._counts: dict[str, int] = {}
        """Number of engrams by term: a cache, because the queries of one memory share words."""

    def last_row(self) -> int:
        """Return the greatest row; 0 for none."""
        with damage_noticed():
            hits = self._searcher.search(tantivy.Query.all_query(), 1, count=False, order_by_field=ROW).hits
            return int(hits[0][0]) if hits else 0

    def rows_of(self, keys: Sequence[int]) -> Ints:
        """Return the rows of the engrams with these keys, in ascending order: shape (m,)."""
        found: list[Any] = []
        with damage_noticed():
            for part in in_parts(keys, KEYS_AT_ONCE):
                query = tantivy.Query.term_set_query(self._schema, KEY, list(part))
                hits = self._searcher.search(query, len(part), count=False).hits
                found += self._searcher.fast_field_values(ROW, [address for _, address in hits])
        return np.sort(np.array(found, np.int64))

    def size(self, namespace: int) -> int:
        """Return the number of engrams of a namespace. Dropped ones count until their segment is merged."""
        return self._count(f"{namespace:x}:{EVERY}")

    def frequencies(self, namespace: int, terms: Sequence[str]) -> Ints:
        """Return, for each term, the number of engrams of the namespace that hold it: shape (len(terms),)."""
        prefix, known = f"{namespace:x}:", self._counts
        counts = [known.get(prefix + term) for term in terms]
        if None in counts:
            counts = [self._count(prefix + term) for term in terms]
        return np.array(counts, dtype=np.int64)

    def _count(self, term: str) -> int:
        count = self._counts.get(term)
        if count is None:
            with damage_noticed():
                count = self._searcher.doc_freq(TERMS, term)
            if len(self._counts) >= COUNTS_CACHED:
                self._counts = {}
            self._counts[term] = count
        return count

    def similar(self, namespace: int, term: str, edits: int) -> dict[str, int]:
        """Return the terms of a namespace that are 1 to `edits` typing errors away from `term`, with their errors.

        Every term that begins like this one is read, and every one that could be meant is looked up: 0.5 to 2 ms among
        580 thousand terms.
        """
        prefix = f"{namespace:x}:"

        def beginning(text: str) -> list[str]:
            found = self._searcher.terms_with_prefix(TERMS, prefix + text, limit=SIMILAR_READ)
            return [other[len(prefix) :] for other, _ in found]

        with damage_noticed():
            return similar_by_beginning(term, edits, beginning)

    @property
    def documents(self) -> int:
        """Number of engrams in the index, in all namespaces."""
        return int(self._searcher.num_docs)

    def search(self, namespace: int, terms: Sequence[str], limit: int) -> Ints:
        """Return the rows of the `limit` engrams that BM25 ranks highest for any of `terms`, best first."""
        return self.ranked(namespace, terms, limit)[1]

    def ranked(self, namespace: int, terms: Sequence[str], limit: int) -> tuple[list[float], Ints]:
        """Return BM25's scores of the `limit` engrams that rank highest for any of `terms`, and their rows."""
        limit = min(limit, self._searcher.num_docs)
        if not terms or not limit:
            return [], np.empty(0, dtype=np.int64)
        wanted = [
            tantivy.Query.term_query(self._schema, TERMS, f"{namespace:x}:{term}", index_option="freq")
            for term in terms
        ]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in wanted])
        with damage_noticed():
            hits = self._searcher.search(query, limit, count=False).hits
            rows = self._searcher.fast_field_values(ROW, [address for _, address in hits])
            return [score for score, _ in hits], np.array(rows, dtype=np.int64)

    def between(self, namespace: int, spans: Sequence[Span], limit: int) -> Timed:
        """Return the `limit` most telling engrams of a namespace in any of `spans`, the most telling first."""
        limit = min(limit, self._searcher.num_docs)
        if not spans or not limit:
            return Timed(np.empty(0, np.int64), np.empty(0, np.int64))
        whole = tantivy.Query.term_query(self._schema, TERMS, f"{namespace:x}:{EVERY}", index_option="freq")
        times = [
            (
                tantivy.Occur.Should,
                tantivy.Query.range_query(
                    self._schema, AT, tantivy.FieldType.Integer, span.start, span.end, include_upper=False
                ),
            )
            for span in spans
        ]
        query = tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, whole), (tantivy.Occur.Must, tantivy.Query.boolean_query(times))]
        )
        with damage_noticed():
            hits = self._searcher.search(query, limit, count=False, order_by_field=TELLING).hits
            rows = self._searcher.fast_field_values(ROW, [address for _, address in hits])
        return Timed(np.array(rows, np.int64), np.array([value for value, _ in hits], np.int64))
