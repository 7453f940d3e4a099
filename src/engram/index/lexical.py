"""The inverted index: which engrams of a namespace hold a term. A thin layer over Tantivy.

Owns the schema and the queries. A term is written behind its namespace's number, so that one plain OR query stays
within a namespace and keeps Tantivy's pruning (a filter or a boost would lose it). Knows nothing of words or vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tantivy

WRITER_HEAP = 64 << 20
"""Bytes that Tantivy gathers before it writes a segment."""

TERMS = "terms"
SEQ = "seq"


def make_schema() -> tantivy.Schema:
    """One document an engram: its terms with their frequency, and its seq."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(TERMS, stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field(SEQ, stored=False, indexed=True, fast=True)
    return builder.build()


class Lexical:
    """Term to engrams. Reading is safe from several threads; writing is one thread's."""

    def __init__(self, folder: Path | None) -> None:
        """Open, or make, the index in `folder`; None keeps it in RAM. Raises ValueError if it cannot be read."""
        self._schema = make_schema()
        self._index = tantivy.Index(self._schema, None if folder is None else str(folder))
        # Terms hold no white space (encode.words), so splitting at it gives them back.
        whitespace = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        self._index.register_tokenizer("whitespace", whitespace)
        self._index.config_reader(reload_policy="manual")
        self._writer: tantivy.IndexWriter | None = None
        self.reader = self._read()

    # Writing.

    def start_writing(self) -> bool:
        """Become the one writer; False if another process is."""
        if self._writer is None:
            try:
                self._writer = self._index.writer(WRITER_HEAP, 1)
            except ValueError as error:
                if "lock" in str(error).lower():
                    return False
                raise
        return True

    def add(self, documents: Iterable[tuple[int, int, Sequence[str]]]) -> None:
        """Add (seq, namespace, terms) each; searchable after `commit` and `refresh`."""
        writer = self._writing()
        for seq, namespace, terms in documents:
            mark = f"{namespace:x}:"
            document = tantivy.Document()
            # The bare mark is a term, too: how many engrams hold it is the size of the namespace.
            document.add_text(TERMS, " ".join((mark, *(mark + term for term in terms))))
            document.add_unsigned(SEQ, seq)
            writer.add_document(document)

    def drop(self, seqs: Iterable[int]) -> None:
        """Take engrams out; done after `commit` and `refresh`."""
        writer = self._writing()
        for seq in seqs:
            writer.delete_documents_by_term(SEQ, seq)

    def commit(self) -> None:
        """Make what was added and dropped durable."""
        self._writing().commit()

    def stop_writing(self) -> None:
        """Let another process become the writer; waits for merges under way."""
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise RuntimeError("Lexical.start_writing must have returned True")
        return self._writer

    # Reading.

    def refresh(self) -> None:
        """Let `reader` see what has been committed, by any process."""
        self.reader = self._read()

    def _read(self) -> LexicalReader:
        self._index.reload()
        return LexicalReader(self._schema, self._index.searcher())


class LexicalReader:
    """The inverted index as it was at one commit. Safe to call from several threads."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher) -> None:
        self._schema = schema
        self._searcher = searcher

    def last_seq(self) -> int:
        """The highest seq that is searchable; 0 for none."""
        hits = self._searcher.search(tantivy.Query.all_query(), 1, count=False, order_by_field=SEQ).hits
        return int(hits[0][0]) if hits else 0

    def size(self, namespace: int) -> int:
        """How many engrams of a namespace there are; dropped ones count until their segment is merged."""
        return self._searcher.doc_freq(TERMS, f"{namespace:x}:")

    def frequencies(self, namespace: int, terms: Sequence[str]) -> npt.NDArray[np.int64]:
        """For each term, how many engrams of the namespace hold it: shape (len(terms),)."""
        counts = [self._searcher.doc_freq(TERMS, f"{namespace:x}:{term}") for term in terms]
        return np.array(counts, dtype=np.int64)

    def search(self, namespace: int, terms: Sequence[str], limit: int) -> npt.NDArray[np.int64]:
        """Seqs of the `limit` engrams that BM25 ranks highest for any of `terms`, best first."""
        if not terms:
            return np.empty(0, dtype=np.int64)
        wanted = [
            tantivy.Query.term_query(self._schema, TERMS, f"{namespace:x}:{term}", index_option="freq")
            for term in terms
        ]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in wanted])
        hits = self._searcher.search(query, limit, count=False).hits
        return np.array(self._searcher.fast_field_values(SEQ, [address for _, address in hits]), dtype=np.int64)
