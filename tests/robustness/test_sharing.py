"""Several processes and threads that use one memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.memory import Memory

from .conftest import Start, finish

OpenMemory = Callable[..., Memory]

CALLS = os.environ.get("ENGRAM_TEST_SHARING_CALLS", "200")
"""Calls of each of the eight threads; set it higher to search for rare faults."""


@pytest.mark.slow
def test_two_processes_with_four_threads_each_lose_nothing(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "memory.db"
    Memory(path).close()
    children = [start("share", path, seed, env={"CALLS": CALLS}) for seed in (1, 2)]
    acknowledged: list[str] = []
    for child in children:
        out, err = child.communicate(timeout=60 + int(CALLS))
        *lines, last = out.splitlines()
        assert last == "done", err
        assert err == ""
        acknowledged += [id for line in lines for id in line.split()]
    with Memory(path) as memory:
        ids = [e.id for e in memory.engrams()]
        assert sorted(ids) == sorted(acknowledged)
        assert memory.flush(120)
        assert memory.stats().unindexed == 0
        for engram in list(memory.engrams())[:: max(1, len(ids) // 50)]:
            hits = memory.recall(engram.text.split()[0], namespace=engram.namespace, limit=5)
            assert [h.engram.id for h in hits].count(engram.id) == 1


def test_an_idle_process_does_not_keep_another_from_indexing(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "memory.db"
    child = start("idle", path)
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "idle\n"
    with Memory(path) as memory:
        memory.remember_many({"text": f"busy {i}"} for i in range(600))
        assert memory.flush(30)
        assert memory.recall("busy 7")[0].engram.text == "busy 7"
        assert memory.recall("idle 7")[0].engram.text == "idle 7"
        finish(child, "\n")
        assert child.returncode == 0


def test_two_open_memories_of_one_file_see_each_others_changes(open_memory: OpenMemory) -> None:
    one, two = open_memory(), open_memory()
    engram = one.remember("The parrot is called Rico.")
    assert two.recall("parrot")[0].engram == engram
    two.forget(id=engram.id)
    assert not one.recall("parrot")
    one.remember_many({"text": f"parrot number {i}"} for i in range(500))
    assert one.flush(30)
    assert len(two.recall("parrot", limit=20)) == 20
    two.forget(before=None, namespace="default")
    assert not one.recall("parrot")
    assert two.flush(30)
    assert not one.recall("parrot")


@pytest.mark.parametrize("other_is_busy", [False, True])
def test_compact_removes_deleted_text_while_another_process_uses_the_memory(
    tmp_path: Path, start: Start, other_is_busy: bool
) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember_many({"text": f"xylophone {i}", "session": "secret"} for i in range(400))
        memory.flush()
    child = start("remember" if other_is_busy else "idle", path)
    assert child.stdout is not None
    child.stdout.readline()
    with Memory(path) as memory:
        assert len(memory.recall("xylophone")) == 10
        assert memory.forget(session="secret") == 400
        memory.compact()
        assert not memory.recall("xylophone")
        if not other_is_busy:
            assert memory.recall("idle 7")[0].engram.text == "idle 7"
        files = [f for f in tmp_path.rglob("*") if f.is_file()]
        assert len(files) > 5
        for file in files:
            content = file.read_bytes() if file.exists() else b""
            assert b"xylophon" not in content, file
            assert b"secret" not in content, file
