"""Processes that are killed, or end without closing the memory."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from engram.memory import Memory

from .conftest import Fork, Start

KILLS = 50


@pytest.mark.slow
def test_fifty_kills_while_writing_lose_nothing_acknowledged(tmp_path: Path, fork: Fork) -> None:
    path = tmp_path / "memory.db"
    rng = random.Random(7)
    acknowledged: set[str] = set()
    child = fork("remember", path, 0)
    for seed in range(1, KILLS + 1):
        assert child.stdout.readline() == "open\n"
        # In half of the rounds the next child opens the memory before the kill, so that two processes write.
        both = rng.random() < 0.5
        following = fork("remember", path, seed) if both else None
        time.sleep(rng.random() * 0.15 + (0.1 if both else 0))
        out, err = child.kill()
        # The last line can be incomplete.
        lines = out.split("\n")[:-1]
        assert "Traceback" not in err, err
        acknowledged.update(id for line in lines for id in line.split())
        child = following or fork("remember", path, seed)
        if seed % 10 == 0:
            with Memory(path, read_only=True) as memory:
                stored = {e.id for e in memory.engrams()}
            assert acknowledged <= stored
    assert child.stdout.readline() == "open\n"
    acknowledged.update(id for line in child.kill()[0].split("\n")[:-1] for id in line.split())
    with Memory(path) as memory:
        engrams = list(memory.engrams())
        ids = [e.id for e in engrams]
        assert len(ids) == len(set(ids))
        assert acknowledged <= set(ids)
        assert len(acknowledged) > KILLS
        for flushed in (False, True):
            for engram in rng.sample(engrams, 40):
                hits = memory.recall(engram.text.split()[-1], limit=5)
                if flushed or not hits.unsearched:
                    assert [hit.engram.id for hit in hits].count(engram.id) == 1, (flushed, engram)
            memory.flush()
        assert memory.stats().index_trouble is None


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_process_that_does_not_close_its_memory_exits_without_errors(tmp_path: Path, start: Start, seed: int) -> None:
    child = start("leave", tmp_path / "memory.db", seed)
    out, err = child.communicate(timeout=60)
    assert (out, err, child.returncode) == ("left\n", "", 0)
    with Memory(tmp_path / "memory.db") as memory:
        assert memory.stats().engrams == 3_000
        assert memory.recall("left behind 2999")[0].engram.text == "left 2999 behind"
        assert memory.flush(60)
