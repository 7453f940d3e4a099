"""The local index: when engrams pass from the tail into the index."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engram.engram import draft
from engram.errors import EngramError
from engram.search.local import index as local
from engram.search.local import indexer
from engram.search.local.build import IndexBuild
from engram.search.local.folder import IndexFolder
from engram.search.local.index import LocalIndex
from engram.store.base import Filter
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import TableAnalyzer
from engram.text.vectors import default_table


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[SqliteStore, LocalIndex, IndexFolder]]:
    encoder = TableAnalyzer(default_table())
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


def test_few_engrams_stay_in_the_tail_and_many_are_indexed(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 10)
    whole.added(10)
    reader = whole.reader()
    assert (reader.index.rows, reader.tail_last, reader.unsearched) == (0, 10, 0)
    assert index.builds() == []
    remember(store, 300)
    whole.added(300)
    until(lambda: index.snapshot().rows == 310)
    reader = whole.reader()
    assert (reader.index.rows, len(reader.tail), reader.unsearched) == (310, 0, 0)


def test_reader_starts_to_index_a_backlog(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 300)
    assert len(whole.reader().tail) == 300
    until(lambda: index.snapshot().rows == 300)


def test_tail_of_a_large_backlog_holds_the_newest_engrams(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole, _ = parts
    monkeypatch.setattr(local, "TAIL_MOST", 100)
    monkeypatch.setattr(indexer, "PATIENCE", 60)
    remember(store, 250)
    reader = whole.reader()
    assert (reader.tail.first, reader.tail_last, reader.unsearched) == (151, 250, 150)
    assert whole.flush(30)
    assert whole.reader().unsearched == 0


def test_deletions_reach_tail_and_index(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, index = parts
    remember(store, 20)
    whole.flush()
    remember(store, 20)
    whole.reader()
    store.forget(Filter(session="s1"))
    reader = whole.reader()
    left = {key.seq for key in store.keys([engram.id for engram in store.engrams(Filter())]).values()}
    assert {entry.seq for entry in reader.tail.entries} == {seq for seq in left if seq > 20}
    assert sorted(reader.index.forward.seqs(reader.deleted).tolist()) == [
        seq for seq in range(1, 21) if seq not in left
    ]
    assert len(reader.take(reader.deleted).rows) == 0
    assert whole.flush(30)
    snapshot = index.snapshot()
    rows = snapshot.inverted.search(1, ["entri", *(f"entry{i}" for i in range(20))], 99)
    assert set(snapshot.forward.seqs(rows).tolist()) <= left
    assert len(whole.reader().deleted) == 0


def test_failure_is_logged_once_and_tried_again(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, whole, index = parts
    remember(store, 300)
    with monkeypatch.context() as broken:

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(IndexBuild, "apply", no_room)
        for _ in range(3):
            with pytest.raises(EngramError, match="the index cannot be written: OSError.*No space left"):
                whole.flush(30)
        assert whole.stats().trouble is not None
        assert len(whole.reader().tail) == 300
    try:
        assert whole.flush(30)
    except EngramError:
        # This attempt began while the disk was full; the next one has room.
        assert whole.flush(30)
    assert whole.stats().trouble is None
    assert index.snapshot().rows == 300
    assert [record.message for record in caplog.records if "cannot be updated" in record.message] == [
        "the index cannot be updated, recall continues from the tail: OSError: [Errno 28] No space left on device"
    ]


def test_flush_gives_up_waiting_for_another_process(
    parts: tuple[SqliteStore, LocalIndex, IndexFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole, index = parts
    other = IndexFolder(
        tmp_path / "index", TableAnalyzer(default_table()).fingerprint, index.snapshot().forward.tokens.dtype
    )
    assert other.start_writing()
    remember(store, 5)
    assert not whole.flush(0.2)
    with monkeypatch.context() as patched, pytest.raises(EngramError, match="another process keeps the index"):
        patched.setattr(local, "STUCK", 0.2)
        whole.flush()
    other.stop_writing()
    assert whole.flush(30)


def test_long_texts_are_indexed_in_small_batches(parts: tuple[SqliteStore, LocalIndex, IndexFolder]) -> None:
    store, whole, _ = parts
    store.append([draft(f"entry{i} " + "word " * 150_000) for i in range(25)])
    assert whole.flush(60)
    assert whole.reader().index.inverted.size(1) == 25
