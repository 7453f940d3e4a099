"""The corpus: when what is remembered passes from the tail into the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engram.engram import draft
from engram.errors import EngramError
from engram.search.local import index as corpus
from engram.search.local import indexer
from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.store.base import Filter
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import Analyzer
from engram.text.vectors import default_table


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[SqliteStore, LocalIndex, IndexFolder]]:
    encoder = Analyzer(default_table())
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        index = IndexFolder(tmp_path / "index", encoder.fingerprint, encoder.token_type, store.identity)
        with closing(LocalIndex(store, index, encoder)) as whole:
            yield store, whole, index


def remember(store: SqliteStore, count: int) -> None:
    store.append([draft(f"entry{i}", session=f"s{i % 3}") for i in range(count)])


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_few_stay_in_the_tail_and_many_are_indexed(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 10)
    whole.added(10)
    view = whole.view()
    assert (view.index.through, view.tail_through, view.unsearched) == (0, 10, 0)
    assert index.generations() == []
    remember(store, 300)
    whole.added(300)
    until(lambda: index.through == 310)
    view = whole.view()
    assert (view.index.through, len(view.tail), view.unsearched) == (310, 0, 0)


def test_a_backlog_is_noticed_when_it_is_looked_at(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 300)
    assert len(whole.view().tail) == 300
    until(lambda: index.through == 300)


def test_of_more_than_the_tail_may_hold_the_newest_are_there(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole, _ = parts
    monkeypatch.setattr(corpus, "TAIL_MOST", 100)
    monkeypatch.setattr(indexer, "PATIENCE", 60)
    remember(store, 250)
    view = whole.view()
    assert (view.tail.after, view.tail_through, view.unsearched) == (150, 250, 150)
    assert whole.flush(30)
    assert whole.view().unsearched == 0


def test_forgetting_reaches_tail_and_index(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 20)
    whole.flush()
    remember(store, 20)
    whole.view()
    store.forget(Filter(session="s1"))
    view = whole.view()
    assert not set(view.tail.seqs(1).tolist()) & set(view.forgotten.tolist())
    assert whole.flush(30)
    assert store.forgotten() == []
    left = {store.seq_of(engram.id) for engram in store.engrams(Filter())}
    assert set(index.snapshot().reader.search(1, ["entri", *(f"entry{i}" for i in range(20))], 99).tolist()) <= left
    assert len(whole.view().take(view.forgotten).rows) == 0


def test_what_fails_is_said_once_and_tried_again(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, whole, index = parts
    remember(store, 300)
    with monkeypatch.context() as broken:

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(IndexFolder, "add", no_room)
        for _ in range(3):
            with pytest.raises(EngramError, match="the index cannot be written: OSError.*No space left"):
                whole.flush(30)
        assert whole.trouble is not None
        assert len(whole.view().tail) == 300
    try:
        assert whole.flush(30)
    except EngramError:
        # A try that had begun while there was no room; the next one is not.
        assert whole.flush(30)
    assert whole.trouble is None
    assert index.through == 300
    assert [record.message for record in caplog.records if "could not be kept up" in record.message] == [
        "the index could not be kept up, recall goes on from the tail: OSError: [Errno 28] No space left on device"
    ]


def test_waiting_gives_up_in_time_and_says_so(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole, index = parts
    other = IndexFolder(
        tmp_path / "index", Analyzer(default_table()).fingerprint, index.snapshot().columns.tokens.dtype
    )
    assert other.start_writing()
    remember(store, 5)
    assert not whole.flush(0.2)
    with monkeypatch.context() as patched, pytest.raises(EngramError, match="another process keeps the index"):
        patched.setattr(corpus, "STUCK", 0.2)
        whole.flush()
    other.stop_writing()
    assert whole.flush(30)


def test_long_texts_are_indexed_a_few_at_a_time(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, _ = parts
    store.append([draft(f"entry{i} " + "word " * 150_000) for i in range(25)])
    assert whole.flush(60)
    assert whole.view().index.reader.size(1) == 25
