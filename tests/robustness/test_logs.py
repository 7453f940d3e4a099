"""SQLite's log that is deleted, replaced or cut off while processes have a memory open."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.doctor import examine
from engram.errors import MemoryDamaged, MemoryReplaced
from engram.memory import Memory
from engram.serve.auth.keys import KeyStore
from engram.serve.database import ServerDatabase

from .conftest import Start, finish

WRITES = 25

Harm = Callable[[Path], None]


def log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def unlink_log(path: Path) -> None:
    log_of(path).unlink()


def unlink_log_and_index(path: Path) -> None:
    log_of(path).unlink()
    Path(f"{path}-shm").unlink()


def unlink_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


def replace_by_rubbish(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(os.urandom(50_000))
    other.rename(log_of(path))


def replace_by_another_log(path: Path) -> None:
    other = path.with_name("other.db")
    with Memory(other) as memory:
        memory.remember("of another memory")
        shutil.copyfile(log_of(other), path.with_name("other-log"))
    path.with_name("other-log").rename(log_of(path))


def replace_by_nothing(path: Path) -> None:
    path.with_name("other").touch()
    path.with_name("other").rename(log_of(path))


def cut_off(path: Path) -> None:
    os.truncate(log_of(path), 0)


def cut_in_half(path: Path) -> None:
    os.truncate(log_of(path), log_of(path).stat().st_size // 2)


DELETED: list[Harm] = [
    unlink_log,
    unlink_log_and_index,
    unlink_index,
    replace_by_rubbish,
    replace_by_another_log,
    replace_by_nothing,
]
"""What leaves all that was acknowledged in the open log, or in the log at the path."""

CUT: list[Harm] = [cut_off, cut_in_half]


def texts(path: Path) -> list[str]:
    with Memory(path) as memory:
        return [engram.text for engram in memory.engrams()]


@pytest.mark.parametrize("harm", DELETED)
def test_what_a_killed_process_acknowledged_around_the_loss_of_its_log_is_stored(
    tmp_path: Path, start: Start, harm: Harm
) -> None:
    path = tmp_path / "memory.db"
    child = start("step", path)
    acknowledged = [child.stdout.readline().strip() for _ in range(WRITES)]
    harm(path)
    out, err = finish(child, "go on\n")
    acknowledged += out.split()
    assert child.returncode == -signal.SIGKILL, err
    assert "refused MemoryReplaced" in err
    assert set(acknowledged) <= set(texts(path))
    assert "of another memory" not in texts(path)
    assert examine(path).healthy


@pytest.mark.parametrize("harm", CUT)
def test_nothing_is_acknowledged_after_the_log_was_cut_off(tmp_path: Path, start: Start, harm: Harm) -> None:
    path = tmp_path / "memory.db"
    child = start("step", path)
    before = [child.stdout.readline().strip() for _ in range(WRITES)]
    harm(path)
    out, err = finish(child, "go on\n")
    assert not out
    assert err.count("refused MemoryDamaged") == WRITES
    left = texts(path)
    assert left == before[: len(left)]
    assert examine(path).healthy


@pytest.mark.parametrize("harm", DELETED)
def test_a_read_saves_what_the_lost_log_held(tmp_path: Path, harm: Harm) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        kept = [memory.remember(f"number {n}").text for n in range(WRITES)]
        harm(path)
        for _ in range(2):
            with pytest.raises(MemoryReplaced, match="start again"):
                memory.recall("number")
    assert texts(path) == kept


@pytest.mark.parametrize("harm", CUT)
def test_a_memory_whose_log_was_cut_off_refuses_reads_and_writes_and_opens_again(tmp_path: Path, harm: Harm) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        kept = [memory.remember(f"number {n}").text for n in range(WRITES)]
        memory.compact()
        for n in range(WRITES):
            memory.remember(f"in the log {n}")
        harm(path)
        for _ in range(2):
            with pytest.raises(MemoryDamaged, match="restore a backup"):
                memory.remember("after")
            with pytest.raises(MemoryDamaged, match="restore a backup"):
                memory.recall("number")
    assert examine(path).healthy
    assert texts(path)[:WRITES] == kept
    assert "after" not in texts(path)


def test_a_write_into_a_log_that_was_emptied_meanwhile_is_refused_and_harms_no_file(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        kept = [memory.remember(f"number {n}").text for n in range(WRITES)]
        memory.compact()
        for n in range(WRITES):
            memory.remember(f"in the log {n}")
        file = memory._store._file  # type: ignore[attr-defined]
        with pytest.raises(MemoryDamaged, match="emptied"), file.writing() as db:
            db.execute("UPDATE counters SET value = value + 1 WHERE name = 'pruned'")
            cut_off(path)
        with pytest.raises(MemoryDamaged):
            memory.remember("after")
    assert examine(path).healthy
    assert texts(path) == kept


def test_a_log_that_another_process_has_emptied_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory, Memory(path) as other:
        for n in range(6):
            memory.remember(f"of one {n}")
            other.remember(f"of the other {n}")
            (memory if n % 2 else other).compact()
        assert len(list(memory.engrams())) == len(list(other.engrams())) == 12
    assert len(texts(path)) == 12


def test_a_process_that_opens_a_memory_whose_log_was_deleted_harms_nothing(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "memory.db"
    child = start("step", path)
    acknowledged = [child.stdout.readline().strip() for _ in range(WRITES)]
    unlink_log(path)
    with pytest.raises(MemoryDamaged), Memory(path) as memory:
        memory.remember("without the log")
    finish(child, "go on\n")
    assert texts(path)[:WRITES] == acknowledged
    assert examine(path).healthy


@pytest.mark.parametrize("harm", [unlink_log, unlink_log_and_index, replace_by_rubbish])
def test_keys_of_a_server_survive_the_loss_of_its_log(tmp_path: Path, harm: Harm) -> None:
    path = tmp_path / "memory.db.serve"
    with ServerDatabase(path) as database:
        store = KeyStore(database)
        store.create(name="before", admin=True)
        harm(path)
        with pytest.raises(MemoryReplaced):
            store.create(name="after", admin=True)
    with ServerDatabase(path) as database:
        assert [key.name for key in KeyStore(database).list()] == ["before"]


def test_two_processes_with_different_logs_of_a_memory_both_keep_what_they_acknowledged(
    tmp_path: Path, start: Start
) -> None:
    path = tmp_path / "memory.db"
    child = start("step", path)
    acknowledged = [child.stdout.readline().strip() for _ in range(WRITES)]
    unlink_log_and_index(path)
    with Memory(path) as memory:
        memory.remember("into the new log")
        out, err = finish(child, "go on\n")
        assert not out
        assert "refused MemoryReplaced" in err
        memory.remember("after the other process")
    assert texts(path) == ["into the new log", "after the other process"]
    [saved] = tmp_path.glob("memory.db.saved-*")
    assert saved.name in err
    assert saved.stat().st_mode & 0o777 == 0o600
    assert set(acknowledged) <= set(texts(saved))
    assert any(str(saved) in warning for warning in examine(path).warnings)
    assert examine(path).healthy
