"""The inverted index: which engrams of a namespace hold a term. A thin layer over Tantivy.

Owns the schema and the queries. A term is written behind its namespace's number, so that one plain OR query stays
within a namespace and keeps Tantivy's pruning (a filter or a boost would lose it). Knows nothing of words or vectors.
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

import numpy as np
import tantivy

from engram.search.base import IndexDamaged, Ints
from engram.search.local.damage import damage_noticed, is_panic

log = logging.getLogger("engram")

WRITER_HEAP = 64 << 20
"""Bytes that Tantivy gathers before it writes a segment."""

MERGES, MERGE_NICENESS = "merge_thread", 10
"""Prefix of the names of the threads in which Tantivy merges segments, and by how much nicer they are than ours."""

DROPPED_AT_ONCE = 10_000
"""Engrams taken out by one query."""

COUNTS_KNOWN = 10_000
"""Terms of which a reader keeps in mind how many engrams hold them."""

TERMS = "terms"
SEQ = "seq"
EVERY = ""
"""The term that every engram of a namespace holds."""


def make_schema() -> tantivy.Schema:
    """One document an engram: its terms with their frequency, and its seq."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(TERMS, stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field(SEQ, stored=False, indexed=True, fast=True)
    return builder.build()


class InvertedIndex:
    """Term to engrams. Reading is safe from several threads; writing is one thread's."""

    def __init__(self, folder: Path | None, *, create: bool = False) -> None:
        """Open the index in `folder`, or make one; None makes one in RAM. Raises `IndexDamaged`."""
        self._schema = make_schema()
        self._links: Path | None = None
        self._linked = Path()
        with damage_noticed():
            if folder is not None and not create:
                folder = self._readable(folder)
            self._index = tantivy.Index(self._schema, None if folder is None else str(folder))
            # Terms hold no white space (encode.words), so splitting at it gives them back.
            whitespace = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            self._index.register_tokenizer("whitespace", whitespace)
            self._index.config_reader(reload_policy="manual")
        self._writer: tantivy.IndexWriter | None = None

    def _readable(self, folder: Path) -> Path:
        """A folder to read the index in `folder` from."""
        # Tantivy would make a new, empty index where it finds none.
        if not tantivy.Index.exists(str(folder)):
            raise IndexDamaged(f"there is no inverted index in {folder}")
        if os.access(folder, os.W_OK):
            return folder
        # Tantivy must lock a file to read. Where it cannot be made, it reads through links from where it can.
        self._linked, self._links = folder, Path(tempfile.mkdtemp(prefix="engram-"))
        weakref.finalize(self, shutil.rmtree, self._links, ignore_errors=True)
        self._link()
        return self._links

    def _link(self) -> None:
        """Have a link to every file of an index that cannot be written to."""
        if self._links is not None:
            for file in self._linked.iterdir():
                link = self._links / file.name
                if not file.name.endswith(".lock") and not os.path.lexists(link):
                    os.symlink(file.resolve(), link)

    # Writing.

    def start_writing(self) -> None:
        """Become the one writer; the caller holds the lock that says who may."""
        if self._writer is None:
            self._writer = self._index.writer(WRITER_HEAP, 1)

    def add(self, documents: Iterable[tuple[int, int, Sequence[str]]]) -> None:
        """Add (seq, namespace, terms) each; searchable after `commit` and `refresh`."""
        writer = self._writing()
        for seq, namespace, terms in documents:
            mark = f" {namespace:x}:"
            document = tantivy.Document()
            # The bare mark is a term, too: how many engrams hold it is the size of the namespace.
            document.add_text(TERMS, mark + mark + mark.join(terms) if terms else mark)
            document.add_unsigned(SEQ, seq)
            writer.add_document(document)

    def drop(self, seqs: Iterable[int]) -> None:
        """Take engrams out; done after `commit` and `refresh`."""
        writer, waiting = self._writing(), list(seqs)
        for start in range(0, len(waiting), DROPPED_AT_ONCE):
            # Not by term: tantivy-py takes a number for a signed one there, and finds nothing.
            part = waiting[start : start + DROPPED_AT_ONCE]
            writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, SEQ, part))

    def commit(self) -> None:
        """Make what was added and dropped durable."""
        # Each time: a thread has no name yet when it has just begun.
        let_merges_wait()
        self._writing().commit()

    def stop_writing(self) -> None:
        """Let another process become the writer, without what was not committed; waits for merges under way."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            # Dropping it would not do: whoever still holds an error of its holds its lock, too.
            writer.wait_merging_threads()
        except BaseException as error:
            if not isinstance(error, (ValueError, OSError)) and not is_panic(error):
                raise
            log.debug("a writer that had failed did not stop cleanly", exc_info=True)

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise RuntimeError("Lexical.start_writing was not called")
        return self._writer

    # Reading.

    def read(self) -> InvertedReader:
        """The index as it was last committed, by any process. Raises `IndexDamaged`."""
        with damage_noticed():
            self._link()
            self._index.reload()
            return InvertedReader(self._schema, self._index.searcher())


def let_merges_wait() -> None:
    """Have Tantivy's merging of segments yield to whatever else wants the processor, where threads can be told apart.

    A merge may take a second of it, in the midst of recalls; nothing waits for one.
    """
    tasks = Path("/proc/self/task")
    # Relative to the calling thread, so that merging yields in a nice process too; the system's limit is 19.
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + MERGE_NICENESS
    for task in tasks.iterdir() if tasks.is_dir() else ():
        # A thread may end meanwhile.
        with suppress(OSError):
            if (task / "comm").read_text().startswith(MERGES):
                os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)


class InvertedReader:
    """The inverted index as it was at one commit. Safe to call from several threads."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher) -> None:
        self._schema = schema
        self._searcher = searcher
        self._counts: dict[str, int] = {}
        """How many engrams hold a term, as far as that was asked: what is asked of one memory has words in common."""

    def last_seq(self) -> int:
        """The highest seq that is searchable; 0 for none."""
        with damage_noticed():
            hits = self._searcher.search(tantivy.Query.all_query(), 1, count=False, order_by_field=SEQ).hits
            return int(hits[0][0]) if hits else 0

    def size(self, namespace: int) -> int:
        """How many engrams of a namespace there are; dropped ones count until their segment is merged."""
        return self._count(f"{namespace:x}:{EVERY}")

    def frequencies(self, namespace: int, terms: Sequence[str]) -> Ints:
        """For each term, how many engrams of the namespace hold it: shape (len(terms),)."""
        return np.array([self._count(f"{namespace:x}:{term}") for term in terms], dtype=np.int64)

    def _count(self, term: str) -> int:
        count = self._counts.get(term)
        if count is None:
            with damage_noticed():
                count = self._searcher.doc_freq(TERMS, term)
            if len(self._counts) >= COUNTS_KNOWN:
                self._counts = {}
            self._counts[term] = count
        return count

    @property
    def documents(self) -> int:
        """Number of engrams in the index, in all namespaces."""
        return int(self._searcher.num_docs)

    def search(self, namespace: int, terms: Sequence[str], limit: int) -> Ints:
        """Seqs of the `limit` engrams that BM25 ranks highest for any of `terms`, best first."""
        return self.ranked(namespace, terms, limit)[1]

    def ranked(self, namespace: int, terms: Sequence[str], limit: int) -> tuple[list[float], Ints]:
        """BM25's scores of the `limit` engrams that it ranks highest for any of `terms`, best first, and their seqs."""
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
            seqs = self._searcher.fast_field_values(SEQ, [address for _, address in hits])
            return [score for score, _ in hits], np.array(seqs, dtype=np.int64)
