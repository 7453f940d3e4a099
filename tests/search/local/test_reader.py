"""The local index as a `SearchReader`: in RAM, on disk, with all engrams in the tail, and with half of them in each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.search.local.reader import IndexReader
from engram.store.sqlite.store import SqliteStore
from tests.search.conformance import ANALYZER, ENCODER, HARBOUR, Known, Searchable, SearchReaderSuite, term


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def open_index(stack: ExitStack, store: SqliteStore, folder: Path | None) -> LocalIndex:
    index = IndexFolder(folder, ANALYZER.fingerprint, ANALYZER.token_type, store.identity, ENCODER.coder)
    return stack.enter_context(closing(LocalIndex(store, index, ANALYZER, ENCODER)))


def indexed(index: LocalIndex) -> IndexReader:
    assert index.flush(30)
    reader = index.reader()
    assert reader.index.rows == reader.tail_last
    return reader


class TestIndexInRam(SearchReaderSuite):
    @pytest.fixture
    def searchable(self, stack: ExitStack) -> Searchable:
        store = stack.enter_context(closing(SqliteStore(":memory:")))
        index = open_index(stack, store, None)
        return Searchable(store, lambda: indexed(index))


class TestIndexOnDisk(SearchReaderSuite):
    @pytest.fixture
    def searchable(self, stack: ExitStack, tmp_path: Path) -> Searchable:
        store = stack.enter_context(closing(SqliteStore(tmp_path / "memory.db")))
        index = open_index(stack, store, tmp_path / "index")
        return Searchable(store, lambda: indexed(index))


class TestEverythingInTheTail(SearchReaderSuite):
    @pytest.fixture
    def searchable(self, stack: ExitStack, tmp_path: Path) -> Searchable:
        store = stack.enter_context(closing(SqliteStore(tmp_path / "memory.db")))
        # Engrams of a read-only store are not indexed.
        read_only = stack.enter_context(closing(SqliteStore(tmp_path / "memory.db", read_only=True)))
        index = open_index(stack, read_only, None)
        return Searchable(store, lambda: unindexed(index))


def unindexed(index: LocalIndex) -> IndexReader:
    reader = index.reader()
    # Of a read-only store, each reader encodes some engrams.
    while reader.unencoded:
        left, reader = reader.unencoded, index.reader()
        assert reader.unencoded < left
    assert reader.index.rows == 0
    return reader


class TestHalfInTheTail(SearchReaderSuite):
    @pytest.fixture
    def searchable(self, stack: ExitStack, tmp_path: Path) -> Searchable:
        store = stack.enter_context(closing(SqliteStore(tmp_path / "memory.db")))
        read_only = stack.enter_context(closing(SqliteStore(tmp_path / "memory.db", read_only=True)))
        index = open_index(stack, read_only, tmp_path / "index")

        def index_first_half() -> None:
            with ExitStack() as writing:
                indexed(open_index(writing, store, tmp_path / "index"))

        return Searchable(store, index.reader, index_first_half)

    def test_half_of_the_engrams_are_indexed(self, known: Known) -> None:
        assert isinstance(known.reader, IndexReader)
        assert 0 < known.reader.index.rows < known.reader.tail_last

    def test_tail_and_index_are_ranked_together(self, known: Known) -> None:
        # The better hit is in the tail, the other one is in the index.
        words = [term("trawlers"), term("ferry"), term("which")]
        rows = known.reader.candidates(known.namespace("a"), words, 9)
        assert known.texts(rows) == [HARBOUR[2][2], HARBOUR[3][2], HARBOUR[1][2]]
        (previous,) = known.reader.take(np.array(known.rows("a", "harbour")[2:3])).columns["previous"]
        assert known.engrams[int(previous)].text == HARBOUR[1][2]
