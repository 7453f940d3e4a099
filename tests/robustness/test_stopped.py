"""A process that was stopped (Ctrl-Z) while it held the index."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.doctor import examine
from engram.memory import Memory
from engram.search.local import holder, index, indexer

from .conftest import Start, finish

PATIENCE = 60.0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a process as stuck after 0.3 seconds, and let the tail hold few engrams."""
    monkeypatch.setattr(indexer, "STUCK", 0.3)
    monkeypatch.setattr(index, "TAIL_MOST", 300)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped_child(start: Start, path: Path, count: int) -> subprocess.Popen[str]:
    child = start("stop", path, count)
    assert child.stdout is not None
    assert child.stdout.readline() == "stopped\n"
    wait_until(lambda: holder.holder_of(Path(f"{path}.index/writer.lock")) == (child.pid, True))
    return child


@pytest.mark.parametrize("count", [300, 20_000])
def test_the_index_of_a_stopped_process_is_taken_over(
    tmp_path: Path, start: Start, impatient: None, count: int
) -> None:
    path = tmp_path / "memory.db"
    child = stopped_child(start, path, count)
    with Memory(path) as memory:
        memory.remember("The locker of the choir is number 8822.")
        memory.remember_many({"text": f"later {i}"} for i in range(1_000))
        hits = memory.recall("locker of the choir")
        assert hits or hits.unsearched
        assert memory.flush(PATIENCE)
        assert memory.recall("locker of the choir")[0].engram.text.endswith("8822.")
        assert memory.stats().index_trouble is None
        child.send_signal(signal.SIGCONT)
        assert child.stdout is not None
        assert child.stdout.readline() == "continued\n"
        finish(child, "\n")
        assert memory.flush(PATIENCE)
        wait_until(lambda: memory.stats().index_trouble is None)
        for text in ("continued at last", "later 7", "stopped 7", "The locker of the choir is number 8822."):
            assert [hit.engram.text for hit in memory.recall(text)].count(text) == 1
        assert len(list(memory.engrams())) == count + 1_002


def test_a_stuck_process_that_cannot_be_known_is_a_trouble(
    tmp_path: Path, start: Start, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "memory.db"
    child = stopped_child(start, path, 300)
    monkeypatch.setattr(holder, "LOCKS", tmp_path / "missing")
    with Memory(path) as memory:
        memory.remember_many({"text": f"later {i}"} for i in range(1_000))
        wait_until(lambda: memory.stats().index_trouble)
        assert "no progress for 0.3 s: another process holds the index" in str(memory.stats().index_trouble)
        assert memory.recall("later 999").unsearched
        child.send_signal(signal.SIGCONT)
        finish(child, "\n")
        assert memory.flush(PATIENCE)
        wait_until(lambda: memory.stats().index_trouble is None)
        assert not memory.recall("later 7").unsearched


def test_the_doctor_names_the_stopped_process(tmp_path: Path, start: Start) -> None:
    child = stopped_child(start, tmp_path / "memory.db", 300)
    [warning] = examine(tmp_path / "memory.db").warnings
    assert f"process {child.pid} is stopped" in warning
    assert f"kill -CONT {child.pid}" in warning
    os.kill(child.pid, signal.SIGCONT)
    finish(child, "\n")
    assert examine(tmp_path / "memory.db").warnings == ()
