"""The files under a memory: their rights, and what happens when they are moved while a process has them open."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engram.backup import back_up, restore
from engram.doctor import examine, salvage
from engram.errors import MemoryDamaged, MemoryLocked, MemoryReadOnly, MemoryReplaced
from engram.formats.writing import export
from engram.memory import Memory
from engram.opening import files_of
from engram.serve.auth.keys import KeyStore
from engram.serve.database import ServerDatabase, server_database_path
from engram.serve.services import only_server
from engram.store.sqlite.copying import copy_database
from engram.store.sqlite.files import has_foreign_log, record_of

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


def test_backups_exports_rescues_and_the_log_of_a_replaced_file_are_readable_by_their_owner_only(
    loose_umask: None, tmp_path: Path
) -> None:
    root = tmp_path / "new"
    path = root / "memory.db"
    make_backup(path)
    with ServerDatabase(server_database_path(path)) as database, Memory(path) as memory:
        KeyStore(database).create(admin=True)
        back_up(path, root / "backups" / "monday.db")
        export(memory.engrams(), root / "export.jsonl")
        salvage(path, root / "rescued.db")
        memory.remember("in the log")
        (root / "rescued.db").rename(path)
        with pytest.raises(MemoryReplaced):
            memory.recall("in the log")
    restore(root / "backups" / "monday.db", path, overwrite=True)
    found = [root, *root.rglob("*")]
    assert {"monday.db", "monday.db.serve", "export.jsonl", "memory.db.serve"} <= {file.name for file in found}
    for file in found:
        assert file.stat().st_mode & 0o777 == (0o700 if file.is_dir() else 0o600), file


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


def copied_to_the_inode(source: Path, path: Path, inode: int) -> bool:
    """Copy `source` to `path` until the copy has `inode`; False if the file system does not give it out again."""
    others = []
    for number in range(100):
        shutil.copyfile(source, path)
        if path.stat().st_ino == inode:
            return True
        others.append(path.rename(path.with_name(f"other-{number}")))
    others[-1].rename(path)
    return False


@pytest.mark.parametrize("identity", ["another", "the same"])
def test_a_log_left_by_a_kill_is_not_written_into_a_new_file_that_got_the_inode_of_the_deleted_one(
    tmp_path: Path, fork: Fork, identity: str
) -> None:
    path, backup = tmp_path / "memory.db", tmp_path / "backup.db"
    make_backup(backup)
    if identity == "the same":
        shutil.copyfile(backup, path)
    child = fork("remember", path, 3)
    for _ in range(40):
        assert child.stdout.readline()
    child.kill()
    inode = path.stat().st_ino
    assert Path(f"{path}-wal").stat().st_size
    path.unlink()
    # Other inodes are a case of their own, for which the test holds too.
    copied_to_the_inode(backup, path, inode)
    assert is_the_backup(path)
    assert examine(path).healthy
    assert list(tmp_path.glob("memory.db.log-of-replaced-*"))


def test_a_log_left_by_a_kill_is_read_by_the_next_process(tmp_path: Path, fork: Fork) -> None:
    path = tmp_path / "memory.db"
    child = fork("remember", path, 3)
    acknowledged = [child.stdout.readline() for _ in range(40)]
    child.kill()
    assert len(texts(path)) >= len(acknowledged)
    assert not list(tmp_path.glob("memory.db.log-of-replaced-*"))


@pytest.mark.parametrize("times", [True, False])
def test_a_record_without_times_of_birth_is_compared_by_inode(tmp_path: Path, times: bool) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember("in the log only")
        record = Path(record_of(memory.path))
        database, log = record.read_text().split()
        assert not has_foreign_log(memory.path)
        if times:
            record.write_text(f"{database}1 {log}\n")
            assert has_foreign_log(memory.path)
        else:
            record.write_text(f"{database.partition('@')[0]} {log.partition('@')[0]}\n")
            assert not has_foreign_log(memory.path)


def replaced_after_a_kill(path: Path, backup: Path, fork: Fork) -> None:
    """Leave a memory that replaced one whose process was killed, and the log of that one."""
    make_backup(backup)
    child = fork("remember", path, 3)
    for _ in range(40):
        assert child.stdout.readline()
    child.kill()
    shutil.copyfile(backup, path.with_name("replacement"))
    path.with_name("replacement").rename(path)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.mark.parametrize("way", ["read", "back up", "restore", "copy"])
def test_reading_changes_no_file_beside_a_memory_that_replaced_another(tmp_path: Path, fork: Fork, way: str) -> None:
    path, target = tmp_path / "folder" / "memory.db", tmp_path / "target.db"
    path.parent.mkdir()
    replaced_after_a_kill(path, tmp_path / "backup.db", fork)
    before = content(path.parent)
    assert before["memory.db-wal"]
    with pytest.raises(MemoryReplaced, match=f"move {path}-wal away"):
        if way == "read":
            Memory(path, read_only=True)
        elif way == "copy":
            copy_database(str(path), str(target), "target")
        else:
            (back_up if way == "back up" else restore)(path, target)
    assert content(path.parent) == before
    assert not target.exists()
    assert is_the_backup(path)
    with Memory(path, read_only=True) as memory:
        assert len(list(memory.engrams())) == COUNT


def test_a_log_set_aside_is_named_by_the_doctor_and_by_compact(
    tmp_path: Path, fork: Fork, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a folder" / "memory.db"
    path.parent.mkdir()
    replaced_after_a_kill(path, tmp_path / "backup.db", fork)
    assert is_the_backup(path)
    [aside] = path.parent.glob("memory.db.log-of-replaced-*")
    assert str(aside) in files_of(str(path))
    aside.chmod(0o644)
    loose, kept = examine(path).warnings
    assert loose.endswith(f"chmod 600 '{aside}'")
    caplog.clear()
    with Memory(path) as memory:
        memory.compact()
    assert str(aside) in caplog.text
    assert aside.exists()
    subprocess.run(loose.rpartition("end that with: ")[2], shell=True, check=True)
    subprocess.run(kept.rpartition("delete them: ")[2], shell=True, check=True)
    assert examine(path).warnings == ()


def test_a_memory_moved_away_while_open_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path, moved = tmp_path / "memory.db", tmp_path / "moved.db"
    with Memory(path) as memory:
        memory.remember("in the log only")
        path.rename(moved)
        with pytest.raises(MemoryReplaced):
            memory.remember("after")
    assert texts(moved) == ["in the log only"]


def test_a_memory_that_was_moved_away_and_back_is_not_written_without_its_log(tmp_path: Path) -> None:
    path, moved = tmp_path / "memory.db", tmp_path / "moved.db"
    with Memory(path) as memory:
        memory.remember("before")
        path.rename(moved)
        with pytest.raises(MemoryReplaced):
            memory.recall("before")
        moved.rename(path)
        with pytest.raises(MemoryReplaced):
            memory.remember("after")
    assert texts(path) == ["before"]


def test_a_memory_whose_folder_was_removed_acknowledges_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with Memory(folder / "memory.db") as memory:
        memory.remember("before")
        shutil.rmtree(folder)
        with pytest.raises(MemoryReplaced):
            memory.remember("after")
        with pytest.raises(MemoryReplaced):
            memory.forget(namespace="default")
    assert not folder.exists()


def test_a_symbolic_link_that_points_elsewhere_leaves_both_files_alone(tmp_path: Path) -> None:
    link, first, second = tmp_path / "link.db", tmp_path / "first.db", tmp_path / "second.db"
    make_backup(second)
    link.symlink_to(first)
    with Memory(link) as memory:
        memory.remember("in the first")
        link.unlink()
        link.symlink_to(second)
        with pytest.raises(MemoryReplaced):
            memory.remember("in which?")
    assert texts(first) == ["in the first"]
    assert is_the_backup(second)


@pytest.mark.parametrize("left", [0, 4_096, 100_000])
def test_a_memory_that_was_cut_off_acknowledges_nothing(tmp_path: Path, left: int) -> None:
    path = tmp_path / "memory.db"
    make_backup(path)
    with Memory(path) as memory:
        memory.remember("before")
        os.truncate(path, left)
        for _ in range(2):
            with pytest.raises(MemoryDamaged, match="cut off"):
                memory.remember("after")


def test_a_memory_that_another_process_has_compacted_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    make_backup(path)
    with Memory(path) as memory:
        with Memory(path) as other:
            other.forget(session="default", before=next(iter(memory.engrams(newest=True))).at)
            other.compact()
        memory.remember("after")
    assert texts(path)[-1] == "after"


def test_what_a_memory_without_the_right_to_write_acknowledges_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember("before")
        path.chmod(0o400)
        acknowledged = ["before"]
        with suppress(MemoryReadOnly):
            acknowledged.append(memory.remember("after").text)
    assert texts(path) == acknowledged


def test_a_second_name_of_a_memory_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "memory.db"
    make_backup(path)
    os.link(path, tmp_path / "second.db")
    assert is_the_backup(path)
    assert "2 names (hard links)" in caplog.text


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
