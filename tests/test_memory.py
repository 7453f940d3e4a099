"""Memory as it is used: the verbs, their limits and errors."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram.engram import draft
from engram.errors import InvalidEngram, MemoryClosed, MemoryDamaged, MemoryReadOnly, MemoryTooNew, NotFound
from engram.ids import uuid7
from engram.memory import Memory
from engram.opening import default_path

OpenMemory = Callable[..., Memory]

T0 = datetime(2026, 3, 2, tzinfo=UTC)


def test_what_was_said_is_found_at_once(memory: Memory) -> None:
    engram = memory.remember("My dog is called Biscuit.", namespace="ana", session="2026-03-02", speaker="Ana")
    hit = memory.recall("What is my dog called?", namespace="ana")[0]
    assert hit.engram == engram
    assert 0 < hit.score <= 1
    assert "Biscuit" in memory.recall("dog", namespace="ana").context()
    assert not memory.recall("dog", namespace="bo")
    assert memory.get(engram.id) == engram


def test_it_is_still_there_tomorrow(open_memory: OpenMemory, tmp_path: Path) -> None:
    with open_memory() as memory:
        engram = memory.remember("My dog is called Biscuit.")
    assert open_memory().recall("dog")[0].engram == engram
    assert not (tmp_path / "memory.db.index").exists()


def test_the_default_lies_in_the_users_own_folder(home: Path) -> None:
    with Memory() as memory:
        assert memory.path == str(default_path())
        assert home in default_path().parents


def test_in_ram_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Memory(":memory:") as memory:
        memory.remember_many({"text": f"entry{i}"} for i in range(2_000))
        assert memory.flush(30)
        assert memory.recall("entry7")[0].engram.text == "entry7"
        memory.forget(namespace="default")
        memory.compact()
        assert memory.stats().engrams == 0
    assert list(tmp_path.iterdir()) == []


def test_remember_many_takes_mappings_and_engrams(memory: Memory) -> None:
    ready = draft("ready", at=T0)
    kept = memory.remember_many([{"text": "one", "at": T0}, ready, {"text": "three", "recorded_at": T0}], batch=2)
    assert [e.text for e in kept] == ["one", "ready", "three"]
    assert kept[1] == ready
    assert list(memory.engrams()) == kept
    assert memory.remember_many(kept) == kept
    assert memory.stats().engrams == 3
    assert memory.remember_many([]) == []


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"text": ""}, "item 3: text is empty"),
        ({"text": "x", "colour": 1}, "item 3: unknown field 'colour'"),
        ({}, "item 3: the field 'text' is missing"),
        ("text", "item 3: it is str"),
    ],
)
def test_an_invalid_item_is_named_and_keeps_its_batch_out(memory: Memory, item: object, words: str) -> None:
    with pytest.raises(InvalidEngram, match=words):
        memory.remember_many([{"text": str(i)} for i in range(3)] + [item], batch=2)  # type: ignore[list-item]
    assert [e.text for e in memory.engrams()] == ["0", "1"]


def test_nothing_is_written_when_it_is_invalid(memory: Memory) -> None:
    with pytest.raises(ValueError, match="text is empty"):
        memory.remember("")
    assert memory.stats().engrams == 0


def test_recall_with_filters(memory: Memory) -> None:
    for number in range(300):
        memory.remember(
            f"the dog number{number}",
            session=f"s{number % 3}",
            at=T0 + timedelta(days=number),
            kind="fact" if number % 10 == 0 else "turn",
        )
    for flushed in (False, True):
        assert {h.engram.session for h in memory.recall("dog", session="s1", limit=20)} == {"s1"}
        assert all(h.engram.at < T0 + timedelta(days=3) for h in memory.recall("dog", before=T0 + timedelta(days=3)))
        assert len(memory.recall("dog", after=T0 + timedelta(days=297))) == 3
        assert {h.engram.kind for h in memory.recall("dog", kinds=["fact"], limit=40)} == {"fact"}
        assert len(memory.recall("dog", limit=10**12)) <= 300
        assert not memory.recall("dog", session="none")
        if not flushed:
            memory.flush()


def test_limits_must_be_sensible(memory: Memory) -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        memory.recall("x", limit=0)
    with pytest.raises(ValueError, match="limit is -1"):
        memory.engrams(limit=-1)


@pytest.mark.parametrize("query", ["", " ", "?!", "\x00", "a" * 100_000, "dog " * 50_000])
def test_a_query_of_any_kind(memory: Memory, query: str) -> None:
    memory.remember("the dog")
    assert len(memory.recall(query)) <= 1


def test_listing(memory: Memory) -> None:
    engrams = memory.remember_many({"text": str(i), "session": f"s{i % 2}"} for i in range(10))
    assert list(memory.engrams(limit=3)) == engrams[:3]
    assert list(memory.engrams(after_id=engrams[6].id)) == engrams[7:]
    assert [e.session for e in memory.engrams(session="s1")] == ["s1"] * 5
    assert memory.namespaces() == [("default", 10)]
    assert memory.sessions() == [("s0", 5), ("s1", 5)]
    with pytest.raises(NotFound):
        memory.engrams(after_id=uuid7())
    with pytest.raises(NotFound, match="no engram has the id"):
        memory.get(uuid7())
    with pytest.raises(InvalidEngram, match="must be a UUID"):
        memory.get("nonsense")


def test_explain(memory: Memory) -> None:
    dog, cat = memory.remember("my dog Biscuit"), memory.remember("my cat Tom", session="other")
    first = memory.explain("dog", dog.id)
    assert first.place == 1
    assert first.winner is not None
    assert memory.explain("dog", cat.id).reason
    assert memory.explain("", cat.id).place is None
    with pytest.raises(NotFound):
        memory.explain("dog", dog.id, namespace="other")


@pytest.mark.parametrize("flushed", [False, True])
def test_forgetting(memory: Memory, flushed: bool) -> None:
    kept = memory.remember("the cat is called Tom", at=T0)
    for how in ("id", "session", "namespace", "before"):
        gone = memory.remember("the dog is called Biscuit", session="s", namespace="n", at=T0 - timedelta(days=1))
        if flushed:
            memory.flush()
        wanted = {"id": gone.id, "session": "s", "namespace": "n", "before": T0}[how]
        assert memory.forget(**{how: wanted}) == 1  # type: ignore[arg-type]
        assert not memory.recall("dog Biscuit", namespace="n")
        assert memory.namespaces() == [("default", 1)]
    assert memory.recall("cat")[0].engram == kept
    with pytest.raises(ValueError, match="nothing was forgotten"):
        memory.forget()
    assert memory.forget(id=uuid7()) == 0


def test_compacting_makes_the_index_again_only_if_something_was_forgotten(memory: Memory, tmp_path: Path) -> None:
    memory.remember_many({"text": f"entry{i}"} for i in range(600))
    memory.flush()

    def generations() -> set[str]:
        return {path.name for path in (tmp_path / "memory.db.index").glob("generation-*")}

    first = generations()
    memory.compact()
    assert generations() == first
    memory.forget(id=memory.recall("entry7")[0].engram.id)
    memory.compact()
    second = generations()
    assert len(second) == 1
    assert second != first
    memory.compact()
    assert generations() == second
    assert memory.recall("entry8")[0].engram.text == "entry8"


def test_recall_goes_on_while_the_index_is_made_again(memory: Memory) -> None:
    memory.remember_many({"text": f"entry{i} of many"} for i in range(5_000))
    memory.flush()
    assert not memory.reindex(timeout=0)
    for number in range(0, 5_000, 100):
        found = memory.recall(f"entry{number}")
        assert found[0].engram.text == f"entry{number} of many"
        assert found.unsearched == 0
    assert memory.flush(30)


def test_stats(memory: Memory, tmp_path: Path) -> None:
    memory.remember_many({"text": f"entry{i}", "session": f"s{i % 7}"} for i in range(70))
    stats = memory.stats()
    assert (stats.path, stats.engrams, stats.namespaces, stats.sessions) == (str(tmp_path / "memory.db"), 70, 1, 7)
    assert (stats.indexed_through, stats.unindexed, stats.index_trouble) == (0, 70, None)
    memory.flush()
    stats = memory.stats()
    assert (stats.indexed_through, stats.unindexed) == (70, 0)
    assert stats.store_bytes > 4096
    assert stats.index_bytes > 0


def test_closing_indexes_what_is_worth_it(open_memory: OpenMemory) -> None:
    with open_memory() as memory:
        for number in range(300):
            memory.remember(f"entry{number}")
    assert open_memory(read_only=True).stats().unindexed == 0


def test_after_close(memory: Memory) -> None:
    memory.remember("x")
    memory.close()
    memory.close()
    for call in (lambda: memory.remember("x"), lambda: memory.recall("x"), memory.stats, memory.flush, memory.compact):
        with pytest.raises(MemoryClosed):
            call()


def test_one_that_is_dropped_lets_go(tmp_path: Path) -> None:
    for _ in range(3):
        dropped = Memory(tmp_path / "memory.db")
        dropped.remember_many({"text": f"entry{i}"} for i in range(500))
        dropped.recall("entry7")
        del dropped
        gc.collect()
    with Memory(tmp_path / "memory.db") as memory:
        assert memory.stats().engrams == 1_500
        assert memory.flush(30)


def test_reading_only(open_memory: OpenMemory) -> None:
    with pytest.raises(NotFound):
        open_memory(read_only=True)
    writer = open_memory()
    writer.remember("the dog is called Biscuit")
    reader = open_memory(read_only=True)
    assert reader.recall("dog")
    with pytest.raises(MemoryReadOnly):
        reader.remember("x")
    assert not reader.flush(1)


def test_what_is_no_memory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("Dear diary " * 500)
    with pytest.raises(MemoryDamaged, match="engram doctor"):
        Memory(tmp_path / "diary")
    with Memory(tmp_path / "new.db"):
        pass
    import sqlite3

    db = sqlite3.connect(tmp_path / "new.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(MemoryTooNew, match="upgrade"):
        Memory(tmp_path / "new.db")
