"""Backups of memories in use, and their restoration, with real processes."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from engram.backup import back_up, restore
from engram.errors import EngramError, MemoryDamaged, MemoryFull, MemoryLocked, NotFound
from engram.memory import Memory
from engram.serve.auth.keys import KeyStore
from engram.serve.database import ServerDatabase, server_database_path

from .conftest import Fork, Start, finish

KILLS = 6
"""Kills of each of the two commands."""


def fill(path: Path, count: int = 600, word: str = "apple") -> None:
    with Memory(path) as memory:
        memory.remember_many({"text": f"{word} number {n}"} for n in range(count))


def texts(path: Path) -> list[str]:
    with Memory(path, read_only=True) as memory:
        return [engram.text for engram in memory.engrams()]


def is_alone(path: Path) -> bool:
    """Whether a file has no log and no temporary file beside it."""
    return {file.name for file in path.parent.iterdir() if file.name != path.name and path.name in file.name} == set()


def test_a_backup_while_another_process_writes_holds_all_that_was_acknowledged_before(
    tmp_path: Path, fork: Fork
) -> None:
    path, target = tmp_path / "memory.db", tmp_path / "backups" / "monday.db"
    child = fork("remember", path, 3)
    assert child.stdout.readline() == "open\n"
    for number in range(3):
        acknowledged = {id for _ in range(30) for id in child.stdout.readline().split()}
        copy = back_up(path, target, overwrite=number > 0)
        assert is_alone(target)
        with Memory(target) as memory:
            stored = {engram.id for engram in memory.engrams()}
            assert len(stored) == copy.engrams
            assert memory.flush(60)
            assert memory.recall("marker3x1")
        assert acknowledged <= stored
    assert (target.stat().st_mode & 0o777, target.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_backup_of_a_killed_process_holds_its_log(tmp_path: Path, fork: Fork) -> None:
    path = tmp_path / "memory.db"
    child = fork("remember", path, 1)
    assert child.stdout.readline() == "open\n"
    acknowledged = {id for _ in range(10) for id in child.stdout.readline().split()}
    child.kill()
    assert Path(f"{path}-wal").stat().st_size
    back_up(path, tmp_path / "backup.db")
    with Memory(tmp_path / "backup.db", read_only=True) as memory:
        assert acknowledged <= {engram.id for engram in memory.engrams()}


def test_a_backup_holds_nothing_of_what_was_forgotten(tmp_path: Path) -> None:
    path, target = tmp_path / "memory.db", tmp_path / "backup.db"
    fill(path)
    with Memory(path) as memory:
        memory.remember("The xylophone is in the cellar.", session="secret")
        memory.forget(session="secret")
        back_up(path, target)
    assert b"xylophone" not in target.read_bytes()


@pytest.mark.parametrize("seed", range(2 * KILLS))
def test_a_kill_leaves_the_old_file_or_the_new_one_whole(tmp_path: Path, fork: Fork, seed: int) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "memory.db.backup"
    fill(path, 3_000, "apple")
    fill(backup, 2_000, "pear")
    old = {path: texts(path), backup: texts(backup)}
    new = old[path] if seed % 2 else old[backup]
    child = fork("copy", path, seed)
    assert child.stdout.readline() == "begun\n"
    time.sleep(random.Random(seed).random() * 0.2)
    child.kill()
    for file in (path, backup):
        assert texts(file) in (old[file], new)
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    restore(backup, path, overwrite=True)
    assert texts(path) == texts(backup)


def test_a_memory_in_use_is_not_restored(tmp_path: Path, start: Start) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    fill(backup, 10, "pear")
    child = start("idle", path)
    assert child.stdout is not None
    assert child.stdout.readline() == "idle\n"
    with pytest.raises(MemoryLocked, match="stop the server"):
        restore(backup, path, overwrite=True)
    finish(child, "\n")
    assert child.returncode == 0
    assert len(texts(path)) == 600
    assert restore(backup, path, overwrite=True).engrams == 10
    assert texts(path) == texts(backup)


def test_the_log_of_a_killed_process_is_not_written_into_the_restored_memory(tmp_path: Path, fork: Fork) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    fill(backup, 3_000, "pear")
    for gone in (False, True):
        child = fork("remember", path, 1)
        for _ in range(10):
            assert child.stdout.readline()
        child.kill()
        if gone:
            path.unlink()
        restore(backup, path, overwrite=not gone)
        assert not Path(f"{path}-wal").exists()
        assert texts(path) == texts(backup)


@pytest.mark.parametrize("way", ["restore", "move"])
def test_a_restored_memory_does_not_use_the_index_of_the_replaced_one(tmp_path: Path, way: str) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    fill(path, 600, "apple")
    back_up(path, backup)
    with Memory(path) as memory:
        memory.remember_many({"text": f"pear number {n}"} for n in range(600))
        assert memory.flush(60)
    if way == "restore":
        restore(backup, path, overwrite=True)
    else:
        backup.rename(path)
    with Memory(path) as memory:
        # As many as the old index has read: its numbers of engrams are in use again, for other texts.
        memory.remember_many({"text": f"plum number {n}"} for n in range(600))
        assert not memory.recall("pear")
        assert memory.flush(60)
        for word in ("apple", "plum"):
            hits = memory.recall(f"{word} number 77")
            assert hits[0].engram.text == f"{word} number 77"
        assert not memory.recall("pear")
        assert memory.stats().index_trouble is None


def test_keys_come_with_a_backup_and_revoked_ones_stay_revoked(tmp_path: Path) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    fill(path, 10)
    with ServerDatabase(server_database_path(path)) as database:
        KeyStore(database).create(name="laptop", namespace="home")
        assert back_up(path, backup).server
        KeyStore(database).revoke(KeyStore(database).list()[0].key_id)
    assert not restore(backup, path, overwrite=True).server
    with ServerDatabase(server_database_path(path)) as database:
        assert [known.revoked is not None for known in KeyStore(database).list()] == [True]
    assert restore(backup, tmp_path / "elsewhere.db").server
    with ServerDatabase(server_database_path(tmp_path / "elsewhere.db")) as database:
        assert [known.name for known in KeyStore(database).list()] == ["laptop"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path, other = tmp_path / "memory.db", tmp_path / "other.db"
    fill(path, 10)
    other.write_text("A letter.")
    for work in (back_up, restore):
        with pytest.raises(EngramError, match="exists already"):
            work(path, other)
        with pytest.raises(EngramError, match="is the memory itself"):
            work(path, path, overwrite=True)
        with pytest.raises(EngramError, match="is a folder"):
            work(path, tmp_path, overwrite=True)
        with pytest.raises(NotFound):
            work(tmp_path / "missing.db", tmp_path / "new.db")
    assert other.read_text() == "A letter."
    Path(f"{tmp_path}/new.db.serve").write_text("keys")
    ServerDatabase(server_database_path(path)).close()
    with pytest.raises(EngramError, match="exists already"):
        back_up(path, tmp_path / "new.db")


def test_a_target_that_is_no_regular_file_is_refused_and_stays(tmp_path: Path) -> None:
    path, pipe, link = tmp_path / "memory.db", tmp_path / "pipe", tmp_path / "link"
    fill(path, 10)
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for work in (back_up, restore):
        for target in (pipe, link):
            with pytest.raises(EngramError, match="no regular file"):
                work(path, target, overwrite=True)
    assert pipe.is_fifo()
    assert {file.name for file in tmp_path.iterdir() if not file.name.startswith("memory.db")} == {"pipe", "link"}


def test_a_damaged_memory_is_not_backed_up_but_can_be_replaced(tmp_path: Path) -> None:
    path, backup, target = tmp_path / "memory.db", tmp_path / "backup.db", tmp_path / "target.db"
    fill(path, 3_000)
    back_up(path, backup)
    content = bytearray(path.read_bytes())
    content[8_192:65_536] = os.urandom(65_536 - 8_192)
    path.write_bytes(content)
    with pytest.raises(MemoryDamaged, match="engram doctor"):
        back_up(path, target)
    assert not target.exists()
    assert is_alone(target)
    path.write_bytes(b"no database at all" * 1_000)
    assert restore(backup, path, overwrite=True).engrams == 3_000
    assert len(texts(path)) == 3_000


def test_a_full_disk_leaves_the_old_backup(tmp_path: Path, small_disk: Path) -> None:
    path, target = tmp_path / "memory.db", small_disk / "backup.db"
    fill(path, 10)
    back_up(path, target)
    with Memory(path) as memory:
        memory.remember_many({"text": "room " * 1_000} for _ in range(4_000))
    with pytest.raises(MemoryFull, match="backup.db"):
        back_up(path, target, overwrite=True)
    assert len(texts(target)) == 10
    assert [file.name for file in small_disk.iterdir() if file.suffix == ".part"] == []
