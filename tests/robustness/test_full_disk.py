"""Full disks: a small file system, and a limit on the size of files."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram.doctor import examine, salvage
from engram.errors import MemoryFull
from engram.memory import Memory

from .conftest import Start, finish


def test_writes_on_a_full_disk_fail_cleanly(small_disk: Path, start: Start) -> None:
    path = small_disk / "memory.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (8 << 20))
    child = start("fill", path)
    assert child.stdout is not None
    acknowledged: set[str] = set()
    while not (line := child.stdout.readline()).startswith("full"):
        assert line, child.communicate()[1]
        acknowledged.update(line.split())
    assert str(path) in line
    assert "disk is full" in line
    assert child.stdout.readline() != "recall 0\n"
    ballast.unlink()
    out, err = finish(child, "\n")
    *ids, last = out.split()
    assert last == "done", err
    acknowledged.update(ids)
    assert "Traceback" not in err
    with Memory(path) as memory:
        assert acknowledged <= {e.id for e in memory.engrams()}
        assert memory.recall("filler1x1")[0].engram.text.startswith("filler1x1 ")


def test_open_on_a_full_disk_fails_cleanly(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    with pytest.raises(MemoryFull, match="disk is full"):
        Memory(small_disk / "memory.db")
    ballast.unlink()
    with Memory(small_disk / "memory.db") as memory:
        memory.remember("now there is room")


def test_a_policy_on_a_full_disk_fails_cleanly(small_disk: Path) -> None:
    ballast, week = small_disk / "ballast", timedelta(days=7)
    with Memory(small_disk / "memory.db") as memory:
        old = datetime.now(UTC) - timedelta(days=10)
        memory.remember_many({"text": f"old {number}", "at": old} for number in range(2_000))
        assert memory.flush(60)
        with pytest.raises(OSError, match="No space"), ballast.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        with pytest.raises(MemoryFull, match="disk is full"):
            for number in range(10_000):
                memory.set_policy(f"n{number}", expire_after=week)
        stored = len(memory.policies())
        assert memory.policy(f"n{stored}").expire_after is None
        ballast.unlink()
        memory.set_policy(None, expire_after=week)
        assert memory.stats().engrams == 0
        assert memory.policy("n0").expire_after == week


@pytest.mark.parametrize("rescued", ["rescued.db", "missing/folder/rescued.db"])
def test_a_salvage_to_a_full_disk_fails_cleanly(small_disk: Path, tmp_path: Path, rescued: str) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember_many({"text": f"a turn of which {n} is the number"} for n in range(500))
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"), ballast.open("wb") as file:
        while True:
            file.write(b"x" * 4096)
            file.flush()
    with pytest.raises(MemoryFull, match=f"{small_disk / rescued}: the disk is full"):
        salvage(path, small_disk / rescued)
    assert [found for found in small_disk.rglob("*") if found.is_file()] == [ballast]
    ballast.unlink()
    assert salvage(path, small_disk / rescued).saved == 500


def test_a_copy_for_the_doctor_on_a_full_disk_fails_cleanly(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    (small_disk / "ballast").write_bytes(b"x" * (11 << 20))
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember_many({"text": f"{n} " + "x" * 40_000} for n in range(100))
        with pytest.raises(MemoryFull, match=f"{small_disk}.*the disk is full"):
            examine(memory.path)


def test_writes_over_a_file_size_limit_fail_cleanly(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "memory.db"
    child = start("fill", path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert child.stdout is not None
    acknowledged: set[str] = set()
    while not (line := child.stdout.readline()).startswith("full"):
        assert line, child.communicate()[1]
        acknowledged.update(line.split())
    assert "limit on the size of files" in line or "disk is full" in line
    assert child.stdout.readline() != "recall 0\n"
    child.kill()
    with Memory(path) as memory:
        assert acknowledged <= {e.id for e in memory.engrams()}
        assert acknowledged
        assert memory.recall("filler1x1")[0].engram.text.startswith("filler1x1 ")
        assert memory.flush(60)


def test_index_on_a_full_disk_is_built_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    """If only the disk of the index is full, recall works; the index is built once its disk has room."""
    (tmp_path / "memory.db.index").symlink_to(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (11 << 20))
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember_many({"text": f"entry{i} " + os.urandom(200).hex(" ")} for i in range(4_000))
        with pytest.raises(Exception, match="index cannot be written"):
            memory.flush(60)
        assert memory.stats().index_trouble
        assert memory.recall("entry3999")[0].engram.text.startswith("entry3999 ")
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        assert memory.flush(60)
        assert memory.stats().index_trouble is None
        assert memory.recall("entry7")[0].engram.text.startswith("entry7 ")
