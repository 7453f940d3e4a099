"""Documents of processes that are killed while they write."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from engram.backup import back_up
from engram.memory import Memory

from .conftest import Fork

KILLS = 20


@pytest.mark.slow
def test_kills_while_writing_lose_no_acknowledged_version(tmp_path: Path, fork: Fork) -> None:
    path, rng = tmp_path / "memory.db", random.Random(5)
    acknowledged: list[list[str]] = []
    child = fork("keep", path, 0)
    for seed in range(1, KILLS + 1):
        assert child.stdout.readline() == "open\n"
        # In half of the rounds the next child opens the memory before the kill, so that two processes write.
        both = rng.random() < 0.5
        following = fork("keep", path, seed) if both else None
        time.sleep(rng.random() * 0.1 + (0.1 if both else 0))
        out, err = child.kill()
        assert "Traceback" not in err, err
        # The last line can be incomplete.
        acknowledged += [line.split() for line in out.split("\n")[:-1] if line != "open"]
        child = following or fork("keep", path, seed)
    child.kill()
    assert len(acknowledged) > KILLS
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    with Memory(path) as memory:
        own = {
            (document.value["seed"], document.value["number"])
            for agent in ("agent 0", "agent 1")
            for document in memory.state("ana", agent).history("own", None)
        }
        counted = memory.state("ana", "all").history("count", None)
        for agent in ("agent 0", "agent 1"):
            versions = [document.version for document in memory.state("ana", agent).history("own", None)]
            assert versions == list(range(len(versions), 0, -1))
    for name, version, first, second in acknowledged:
        if name == "own":
            assert (int(first), int(second)) in own
        else:
            assert counted[-int(version)].value == int(first)
    # Compare-and-set: each count is one more than the one before it, whichever process wrote it.
    assert [(document.version, document.value) for document in counted] == [(n, n) for n in range(len(counted), 0, -1)]


def test_a_backup_while_another_process_writes_holds_what_was_acknowledged_before(tmp_path: Path, fork: Fork) -> None:
    path, target = tmp_path / "memory.db", tmp_path / "backup.db"
    child = fork("keep", path, 1)
    assert child.stdout.readline() == "open\n"
    lines = [child.stdout.readline().split() for _ in range(20)]
    back_up(path, target)
    with Memory(target) as memory:
        history = memory.state("ana", "agent 1").history("own", None)
    numbers = {document.value["number"] for document in history}
    assert {int(line[3]) for line in lines if line[0] == "own"} <= numbers
