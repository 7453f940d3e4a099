"""Local indexes over a store with an out-of-order log: no engram is lost, indexed twice, or kept after its deletion."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from engram.engram import Engram, draft
from engram.memory import Memory
from engram.search.base import GONE
from engram.search.local import index as local
from engram.search.local.folder import IndexFolder
from engram.search.local.forward import key_number
from engram.search.local.index import LocalIndex
from engram.store.base import CursorExpired, Filter, LoggedStore
from engram.store.memory import MemoryStore
from engram.store.sqlite.store import SqliteStore
from engram.text.analyzer import TableAnalyzer
from engram.text.vectors import default_table
from tests.store.out_of_order import OutOfOrderStore

ANALYZER = TableAnalyzer(default_table())
NAMESPACES = ("a", "b", "c")


def open_index(store: LoggedStore, folder: Path | None) -> LocalIndex:
    return LocalIndex(store, IndexFolder(folder, ANALYZER.fingerprint, ANALYZER.token_type, store.identity), ANALYZER)


def marked(number: int, namespace: str) -> Engram:
    """An engram with a unique word."""
    return draft(f"the marker{number} of many", namespace=namespace, session=f"s{number % 4}")


def check_invariant(store: LoggedStore, index: LocalIndex) -> None:
    """Assert the invariant of `engram.search.local.index`: each engram of the store has one row, in index or tail."""
    reader = index.reader()
    assert reader.unsearched == 0
    expected = {key_number(key) for key in store.keys([e.id for e in store.engrams(Filter())]).values()}
    rows = np.arange(1, reader.index.rows + 1)
    turns = reader.take(rows) if len(rows) else None
    indexed = (
        []
        if turns is None
        else [int(c["namespace"]) << 32 | int(c["seq"]) for c in turns.columns if c["length"] != GONE]
    )
    tail = [key_number(entry.key) for entry in reader.tail.entries]
    assert sorted(indexed + tail) == sorted(expected)
    assert reader.tail.first == reader.index.rows + 1
    assert reader.tail.cursor == store.head()
    # A session's turns are linked in the order of their rows.
    everything = reader.take(np.arange(1, reader.tail_last + 1))
    last: dict[int, int] = {}
    for row, column in zip(everything.rows.tolist(), everything.columns, strict=True):
        if not len(reader.deleted):
            assert column["previous"] == last.get(int(column["session"]), 0)
        last[int(column["session"])] = row


def check_recall(store: LoggedStore, index: LocalIndex, forgotten: list[Engram]) -> None:
    """Assert that every engram is recalled, and no forgotten engram is."""
    memory = Memory(store=store, search=index)
    assert memory.flush(60)
    assert memory.stats().unindexed == 0
    engrams = list(memory.engrams())
    assert memory.is_indexed([engram.id for engram in engrams])
    for engram in engrams:
        hits = memory.recall(engram.text.split()[1], namespace=engram.namespace, limit=5)
        # The engram need not be first: two rare words can have the same token.
        assert [hit.engram.id for hit in hits].count(engram.id) == 1
    for engram in forgotten:
        hits = memory.recall(engram.text.split()[1], namespace=engram.namespace, limit=50)
        assert engram not in [hit.engram for hit in hits]
    # The test closes store and index.
    memory._finalizer.detach()


def test_overtaken_engram_is_indexed(tmp_path: Path) -> None:
    store = OutOfOrderStore()
    with closing(open_index(store, tmp_path / "index")) as index:
        store.append([marked(i, "a") for i in range(400)])
        store.begin(marked(400, "b"))
        store.append([marked(i, "a") for i in range(401, 801)])
        assert index.flush(30)
        check_invariant(store, index)
        store.commit("b")
        check_invariant(store, index)
        assert not index.holds(list(store.keys([e.id for e in store.engrams(Filter("b"))]).values()))
        check_recall(store, index, [])


class Simulation:
    """Two indexes over one store, with random events."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.store = OutOfOrderStore()
        self.folders = [folder / "one", folder / "two"]
        self.indexes = [open_index(self.store, path) for path in self.folders]
        self.forgotten: list[Engram] = []

    def write(self, number: int) -> None:
        """Begin a write, and commit some of the uncommitted ones."""
        self.store.begin(marked(number, self.rng.choice(NAMESPACES)))
        for _ in range(self.rng.randrange(3)):
            self.store.commit(self.rng.choice(NAMESPACES))

    def event(self) -> None:
        """Do one random action with one of the indexes, or none."""
        which = self.rng.randrange(2)
        index, action = self.indexes[which], self.rng.random()
        if action < 0.15:
            index.reader()
        elif action < 0.19:
            assert index.flush(30)
        elif action < 0.25:
            self.forget(index)
        elif action < 0.28:
            self.kill(which)
        elif action < 0.30:
            index.rebuild(0)

    def forget(self, notified: LocalIndex) -> None:
        """Delete an engram, and notify only one of the indexes."""
        engrams = list(self.store.engrams(Filter()))
        if engrams:
            engram = self.rng.choice(engrams)
            assert self.store.forget(Filter(), engram.id) == 1
            self.forgotten.append(engram)
            notified.deleted()

    def kill(self, which: int) -> None:
        """End an index without a flush, sometimes delete its folder, and open it again."""
        self.indexes[which].close(quick=True)
        if self.rng.random() < 0.2:
            shutil.rmtree(self.folders[which], ignore_errors=True)
        self.indexes[which] = open_index(self.store, self.folders[which])

    def commit_all(self) -> None:
        for namespace in NAMESPACES:
            while self.store.commit(namespace):
                pass


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_by_writers_kills_and_deletions(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        # Small limits: the tail is restarted, and is detached from an index that is behind.
        monkeypatch.setattr(local, "TAIL_MOST", 40)
        monkeypatch.setattr(local, "RECORDS_AT_ONCE", 7)
    simulation = Simulation(tmp_path, random.Random(seed))
    for number in range(300):
        simulation.write(number)
        simulation.event()
        if not seed % 2 and number % 20 == 7:
            check_invariant(simulation.store, simulation.indexes[number % 3 % 2])
    simulation.commit_all()
    for index in simulation.indexes:
        assert index.flush(60)
        check_invariant(simulation.store, index)
        check_recall(simulation.store, index, simulation.forgotten)
        index.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("kind", [SqliteStore, MemoryStore])
def test_deletion_through_one_index_reaches_the_other(
    stack: ExitStack, tmp_path: Path, kind: type[SqliteStore] | type[MemoryStore]
) -> None:
    store: LoggedStore = SqliteStore(tmp_path / "memory.db") if kind is SqliteStore else MemoryStore()
    stack.enter_context(closing(store))
    one, two = (stack.enter_context(closing(open_index(store, tmp_path / name))) for name in ("one", "two"))
    secret = draft("the xylophonist", namespace="a")
    store.append([*(marked(i, "a") for i in range(600)), secret])
    assert one.flush(30)
    assert two.flush(30)
    assert store.forget(Filter(), secret.id) == 1
    assert one.flush(30)
    store.append([marked(i, "a") for i in range(600, 1_000)])
    store.compact()
    one.purge()
    for index in (two, one):
        assert index.flush(30)
        reader = index.reader()
        number = store.namespace_number("a")
        assert number is not None
        assert reader.candidates(number, ANALYZER.analyse("xylophonist").terms, 9).tolist() == []
        check_invariant(store, index)
    two.purge()
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"xylophon" not in file.read_bytes(), file


def test_index_whose_cursor_has_expired_is_rebuilt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        engrams = [marked(i, "a") for i in range(400)]
        store.append(engrams)
        with closing(open_index(store, tmp_path / "index")) as index:
            assert index.flush(30)
        store.forget(Filter(), engrams[0].id)
        store.compact()
        store.compact()
        with closing(open_index(store, tmp_path / "index")) as index:
            reader = index.reader()
            assert reader.unsearched == 0
            check_recall(store, index, engrams[:1])
            check_invariant(store, index)
        assert "pruned" in caplog.text
        assert "the index is rebuilt" in caplog.text


def test_tail_whose_cursor_has_expired_is_read_again(tmp_path: Path) -> None:
    with (
        closing(SqliteStore(tmp_path / "memory.db")) as store,
        closing(open_index(store, tmp_path / "index")) as index,
        closing(open_index(store, tmp_path / "index")) as idle,
    ):
        engrams = [marked(i, "a") for i in range(400)]
        store.append(engrams)
        assert index.flush(30)
        store.append([marked(400, "a")])
        idle.reader()
        for engram in engrams[:2]:
            store.forget(Filter(), engram.id)
            assert index.flush(30)
            store.compact()
            store.compact()
        check_invariant(store, idle)
        with pytest.raises(CursorExpired):
            store.changes("400.0", 1)


def test_backlog_behind_a_detached_tail_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "TAIL_MOST", 100)
    store = OutOfOrderStore()
    with closing(open_index(store, tmp_path / "index")) as index:
        engrams = [marked(i, "a") for i in range(250)]
        store.append(engrams)
        store.forget(Filter(), engrams[3].id)
        reader = index.reader()
        assert (len(reader.tail), reader.unsearched) == (100, 150)
        assert index.flush(30)
        check_invariant(store, index)


@pytest.mark.parametrize("read_only", [False, True])
def test_damage_is_noticed_while_the_tail_is_read(tmp_path: Path, read_only: bool) -> None:
    engrams = [marked(i, "a") for i in range(400)]
    with closing(SqliteStore(tmp_path / "memory.db")) as store:
        store.append(engrams)
        with closing(open_index(store, tmp_path / "index")) as index:
            assert index.flush(30)
        store.forget(Filter(), engrams[0].id)
        for file in (tmp_path / "index").glob("generation-*/*.*"):
            if file.suffix in (".term", ".idx", ".fast"):
                file.write_bytes(random.Random(1).randbytes(file.stat().st_size))
    with closing(SqliteStore(tmp_path / "memory.db", read_only=read_only)) as store:
        with closing(open_index(store, tmp_path / "index")) as index:
            memory = Memory(store=store, search=index)
            assert memory.recall("marker7", namespace="a")
            assert not [hit for hit in memory.recall("marker0", namespace="a") if hit.engram == engrams[0]]
            if not read_only:
                check_recall(store, index, engrams[:1])
            memory._finalizer.detach()
