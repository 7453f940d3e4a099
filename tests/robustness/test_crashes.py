"""kill -9, and processes that end without closing."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from engram.memory import Memory

from .conftest import Start, rest

KILLS = 50


@pytest.mark.slow
def test_killed_fifty_times_while_writing(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "memory.db"
    chance = random.Random(7)
    acknowledged: set[str] = set()
    child = start("remember", path, 0)
    for seed in range(1, KILLS + 1):
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        # The next one starts, slowly, while this one writes: half of the time both have the memory open.
        following = start("remember", path, seed)
        time.sleep(chance.random() * 0.2 + (0.2 if chance.random() < 0.5 else 0))
        child.kill()
        out, err = rest(child)
        # A line that was cut off may not have been written as a whole.
        lines = out.split("\n")[:-1]
        assert "Traceback" not in err, err
        acknowledged.update(id for line in lines for id in line.split())
        child = following
        if seed % 10 == 0:
            with Memory(path, read_only=True) as memory:
                kept = {e.id for e in memory.engrams()}
            assert acknowledged <= kept
    child.kill()
    acknowledged.update(id for line in rest(child)[0].split("\n")[1:-1] for id in line.split())
    with Memory(path) as memory:
        engrams = list(memory.engrams())
        ids = [e.id for e in engrams]
        assert len(ids) == len(set(ids))
        assert acknowledged <= set(ids)
        assert len(acknowledged) > KILLS
        for flushed in (False, True):
            for engram in chance.sample(engrams, 40):
                found = memory.recall(engram.text.split()[-1], limit=5)
                if flushed or not found.unsearched:
                    assert [hit.engram.id for hit in found].count(engram.id) == 1, (flushed, engram)
            memory.flush()
        assert memory.stats().index_trouble is None


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_a_process_that_ends_without_closing_ends_cleanly(tmp_path: Path, start: Start, seed: int) -> None:
    child = start("leave", tmp_path / "memory.db", seed)
    out, err = child.communicate(timeout=60)
    assert (out, err, child.returncode) == ("left\n", "", 0)
    with Memory(tmp_path / "memory.db") as memory:
        assert memory.stats().engrams == 3_000
        assert memory.recall("left behind 2999")[0].engram.text == "left 2999 behind"
        assert memory.flush(60)
