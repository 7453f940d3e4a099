"""The files under a memory: their rights, and what happens when they are moved while a process has them open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.errors import MemoryLocked, MemoryReplaced
from engram.memory import Memory
from engram.serve.services import only_server

from .conftest import Fork

COUNT = 3_000


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def make_backup(path: Path) -> None:
    with Memory(path) as memory:
        memory.remember_many({"text": f"number {n} of the backup"} for n in range(COUNT))


def texts(path: Path) -> list[str]:
    with Memory(path) as memory:
        return [engram.text for engram in memory.engrams()]


def is_the_backup(path: Path) -> bool:
    return texts(path) == [f"number {n} of the backup" for n in range(COUNT)]


def test_new_files_and_folders_are_readable_by_their_owner_only(loose_umask: None, tmp_path: Path) -> None:
    root = tmp_path / "new"
    with only_server(str(root / "sub" / "memory.db")), Memory(root / "sub" / "memory.db") as memory:
        memory.remember_many({"text": f"number {n}"} for n in range(500))
        assert memory.flush()
        found = [root, *root.rglob("*")]
        names = {path.name for path in found}
        assert {"memory.db", "memory.db-wal", "memory.db-shm", "memory.db.index", "state.json", "rows"} <= names
        for path in found:
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_rights_of_an_existing_file_stay(tmp_path: Path) -> None:
    make_backup(tmp_path / "memory.db")
    (tmp_path / "memory.db").chmod(0o640)
    assert is_the_backup(tmp_path / "memory.db")
    assert (tmp_path / "memory.db").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_a_memory_gets_no_second_server(tmp_path: Path, link) -> None:
    path, other = tmp_path / "memory.db", tmp_path / "elsewhere" / "other.db"
    other.parent.mkdir()
    with only_server(str(path)):
        link(path, other)
        with pytest.raises(MemoryLocked, match="another engram serve"), only_server(str(other)):
            pass
    with only_server(str(other)):
        pass


def test_nothing_is_acknowledged_after_the_file_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember("before")
        for file in tmp_path.glob("memory.db*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        with pytest.raises(MemoryReplaced, match="stop the server"):
            memory.remember("after")
        with pytest.raises(MemoryReplaced):
            memory.recall("before")
    assert texts(path) == []


@pytest.mark.parametrize("write", [True, False])
def test_a_backup_moved_over_an_open_memory_survives_its_close(tmp_path: Path, write: bool) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    make_backup(backup)
    with Memory(path) as memory:
        memory.remember_many({"text": f"number {n} of the open one"} for n in range(120))
        backup.rename(path)
        if write:
            with pytest.raises(MemoryReplaced):
                memory.remember("after")
    assert not Path(f"{path}-wal").exists()
    assert is_the_backup(path)


@pytest.mark.parametrize("how", ["at work", "idle"])
def test_a_backup_moved_over_an_open_memory_survives_a_kill(tmp_path: Path, fork: Fork, how: str) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    make_backup(backup)
    child = fork("remember" if how == "at work" else "idle", path, 3)
    for _ in range(40 if how == "at work" else 1):
        assert child.stdout.readline()
    backup.rename(path)
    if how == "at work":
        # The child ends by its own error: it refuses the next write.
        child.stdout.read()
    child.kill()
    assert is_the_backup(path)


def test_a_memory_moved_away_while_open_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path, moved = tmp_path / "memory.db", tmp_path / "moved.db"
    with Memory(path) as memory:
        memory.remember("in the log only")
        path.rename(moved)
        with pytest.raises(MemoryReplaced):
            memory.remember("after")
    assert texts(moved) == ["in the log only"]


def test_a_log_that_was_copied_with_its_memory_is_used(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("in the log only")
        for suffix in ("", "-wal", "-inodes"):
            shutil.copyfile(f"{memory.path}{suffix}", f"{copy}{suffix}")
    assert texts(copy) == ["in the log only"]


def test_a_relative_path_survives_a_change_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with Memory("memory.db") as memory:
        monkeypatch.chdir(tmp_path / "elsewhere")
        memory.remember("still here")
    assert texts(tmp_path / "memory.db") == ["still here"]
