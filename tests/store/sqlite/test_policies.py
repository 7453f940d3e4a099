"""Policies in the file: older files, other processes, kills, damage, and the index that they need."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from engram.backup import back_up, restore
from engram.doctor import examine, salvage
from engram.errors import MemoryDamaged, MemoryLocked, MemoryReadOnly
from engram.store.base import Filter
from engram.store.policy import KEEP, Policy
from engram.store.sqlite.migrations import VERSION
from engram.store.sqlite.rows import COLUMNS, conditions
from engram.store.sqlite.store import SqliteStore
from tests.store.conformance import WEEK, ago, one

from .test_store import FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4, check_format_1, run_sql

INDEX = "engrams_by_session_and_time"

CHILD = """
import sys
from engram.store.policy import Policy
from engram.store.sqlite.store import SqliteStore
from datetime import timedelta
store = SqliteStore(sys.argv[1])
for line in sys.stdin:
    name, days = line.split()
    store.policies.set(Policy(None if name == "-" else name, timedelta(days=float(days))))
    print("set", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def texts(store: SqliteStore) -> list[str]:
    return [engram.text for engram in store.engrams(Filter())]


def fill(path: Path) -> None:
    """Store an engram of ten days ago and one of yesterday."""
    with closing(SqliteStore(path)) as store:
        store.append([one("old", namespace="a", at=ago(days=10)), one("new", namespace="a", at=ago(days=1))])


def indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


@contextmanager
def damaged_policy(path: Path, age: str) -> Iterator[SqliteStore]:
    """A store whose policy of the namespace "a" is damaged."""
    with closing(SqliteStore(path)) as store:
        store.policies.set(Policy("a", WEEK))
        store.policies.set(Policy("b", WEEK))
        run_sql(
            path, f"PRAGMA ignore_check_constraints=ON; UPDATE policies SET expire_after = {age} WHERE namespace = 'a'"
        )
        yield store


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3])
def test_older_files_are_read_unmigrated_without_policies(path: Path, script: str) -> None:
    run_sql(path, script)
    content = path.read_bytes()
    with closing(SqliteStore(path, read_only=True)) as store:
        check_format_1(store)
        assert store.policies.listed() == []
        assert store.policies.of("ana") == KEEP
        assert store.stats().engrams == 2
        assert store.forget_expired() == 0
        for write in (lambda: store.policies.set(Policy("ana", WEEK)), lambda: store.policies.clear("ana")):
            with pytest.raises(MemoryReadOnly, match="open for reading only"):
                write()
    assert path.read_bytes() == content


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3])
def test_older_files_get_policies_when_they_are_opened_for_writing(path: Path, script: str) -> None:
    run_sql(path, script)
    with closing(SqliteStore(path)) as store:
        check_format_1(store)
        held = [engram.text for engram in store.quarantined(Filter())]
        assert held == (["Obey."] if script is FORMAT_3 else [])
        store.policies.set(Policy("ana", WEEK))
        assert texts(store) == list(store.quarantined(Filter())) == []
        assert store.forget_expired() == 2 + len(held)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_format_4_keeps_its_policies(path: Path, read_only: bool) -> None:
    run_sql(path, FORMAT_4)
    with closing(SqliteStore(path, read_only=read_only)) as store:
        check_format_1(store)
        assert store.policies.listed() == [Policy("bo", WEEK)]
        assert store.forget_expired() == 0


def test_policies_survive_a_restart_and_are_read_by_a_read_only_store(path: Path) -> None:
    fill(path)
    with closing(SqliteStore(path)) as store:
        store.policies.set(Policy("a", WEEK))
        store.policies.set(Policy(None, timedelta(microseconds=1)))
    with closing(SqliteStore(path, read_only=True)) as store:
        assert store.policies.listed() == [Policy("a", WEEK)]
        assert store.policies.of(None) == Policy(None, timedelta(microseconds=1))
        assert texts(store) == ["new"]
        with pytest.raises(MemoryReadOnly):
            store.forget_expired()


def test_a_change_by_another_process_applies_at_once_and_survives_its_kill(path: Path) -> None:
    fill(path)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with closing(SqliteStore(path)) as store:
        assert texts(store) == ["old", "new"]
        for line, expected in (("a 7", ["new"]), ("a 30", ["old", "new"]), ("- 0.5", ["old", "new"]), ("a 0.5", [])):
            child.stdin.write(line + "\n")
            child.stdin.flush()
            assert child.stdout.readline() == "set\n"
            assert texts(store) == expected, line
        child.kill()
        child.wait()
        assert texts(store) == []
        store.policies.set(Policy("a", WEEK))
    child.stdin.close()
    child.stdout.close()
    with closing(SqliteStore(path)) as store:
        assert store.policies.listed() == [Policy("a", WEEK)]


def test_pages_of_a_listing_follow_a_change_of_the_policy(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.append([one(str(number), at=ago(days=number % 20)) for number in range(1200)])
        listing = store.engrams(Filter())
        assert next(listing).text == "0"
        store.policies.set(Policy(None, timedelta(days=10.5)))
        later = list(listing)[499:]
        assert later == list(store.engrams(Filter()))[-len(later) :]
        assert len(later) == 700 * 11 // 20


def test_the_index_over_times_exists_while_there_are_policies(path: Path) -> None:
    fill(path)
    with closing(SqliteStore(path)) as store:
        for name in ("a", "b", None):
            assert (INDEX in indexes(path)) == (name != "a")
            store.policies.set(Policy(name, WEEK))
        for name in ("a", None, "b"):
            assert INDEX in indexes(path)
            store.policies.clear(name)
    assert INDEX not in indexes(path)


@pytest.mark.parametrize("where", [Filter(), Filter("a"), Filter("a", "default"), Filter(session="default")])
def test_pages_are_read_in_order_without_sorting(path: Path, where: Filter) -> None:
    fill(path)
    condition, values = conditions(Filter(where.namespace, where.session, ago(days=0), ago(days=9)), "e.")
    query = f"EXPLAIN QUERY PLAN SELECT {COLUMNS} WHERE {condition} AND e.seq > 0 ORDER BY e.seq LIMIT 500"
    with closing(SqliteStore(path)) as store, closing(sqlite3.connect(path)) as db:
        before = db.execute(query, values).fetchall()
        store.policies.set(Policy("a", WEEK))
        assert db.execute(query, values).fetchall() == before


def test_setting_a_policy_waits_for_another_process_and_then_fails(path: Path) -> None:
    with closing(SqliteStore(path, wait=0.1)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryLocked):
            store.policies.set(Policy("a", WEEK))
        other.execute("ROLLBACK")
        assert store.policies.listed() == []
        # Without an expired engram nobody waits.
        store.policies.set(Policy("a", WEEK))
        other.execute("BEGIN IMMEDIATE")
        assert store.forget_expired() == 0


@pytest.mark.parametrize("age", ["-1", "0", "'x'", "x'00'", "1.5", str(1 << 61), str((1 << 63) - 1)])
def test_by_a_damaged_policy_nothing_is_deleted(path: Path, age: str) -> None:
    fill(path)
    with damaged_policy(path, age) as store:
        with pytest.raises(MemoryDamaged, match="engram doctor"):
            store.policies.of("a")
        with pytest.raises(MemoryDamaged, match="engram doctor"):
            store.policies.listed()
        # Makes sure that something is expired by another policy.
        store.append([one("expired", namespace="b", at=ago(days=10))])
        with pytest.raises(MemoryDamaged, match="engram doctor"):
            store.forget_expired()
        store.policies.set(Policy("a", timedelta(days=30)))
        assert texts(store) == ["old", "new"]
        assert store.forget_expired() == 1


def test_the_doctor_saves_policies_and_says_which_are_lost(path: Path, tmp_path: Path) -> None:
    fill(path)
    with damaged_policy(path, "-1"):
        pass
    assert not examine(path).healthy
    saved = salvage(path, tmp_path / "saved.db")
    assert (saved.saved, saved.policies, saved.policies_lost) == (2, 1, True)
    with closing(SqliteStore(tmp_path / "saved.db")) as store:
        assert store.policies.listed() == [Policy("b", WEEK)]
        store.policies.set(Policy("a", WEEK))
        store.policies.set(Policy(None, timedelta(days=30)))
    assert examine(tmp_path / "saved.db").problems == ()
    again = salvage(tmp_path / "saved.db", tmp_path / "again.db")
    assert (again.saved, again.policies, again.policies_lost) == (2, 3, False)
    with closing(SqliteStore(tmp_path / "again.db")) as store:
        assert texts(store) == ["new"]
        assert store.policies.of("other") == Policy(None, timedelta(days=30))


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3])
def test_the_doctor_misses_no_policies_in_an_older_file(path: Path, tmp_path: Path, script: str) -> None:
    run_sql(path, script)
    saved = salvage(path, tmp_path / "saved.db")
    assert (saved.policies, saved.policies_lost) == (0, False)


def test_a_damaged_page_of_policies_is_reported(path: Path, tmp_path: Path) -> None:
    fill(path)
    with closing(SqliteStore(path)) as store:
        store.policies.set(Policy("a", WEEK))
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'policies'").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert examine(path).problems
    saved = salvage(path, tmp_path / "saved.db")
    assert (saved.saved, saved.policies, saved.policies_lost) == (2, 0, True)


def test_a_backup_and_its_restoration_hold_the_policies(path: Path, tmp_path: Path) -> None:
    fill(path)
    backup = tmp_path / "backup.db"
    with closing(SqliteStore(path)) as store:
        store.policies.set(Policy("a", WEEK))
        assert back_up(path, backup).engrams == 1
        store.policies.clear("a")
    with closing(SqliteStore(backup, read_only=True)) as store:
        assert texts(store) == ["new"]
    restore(backup, path, overwrite=True)
    with closing(SqliteStore(path)) as store:
        assert store.policies.listed() == [Policy("a", WEEK)]
        assert texts(store) == ["new"]
        store.policies.clear("a")
        assert texts(store) == ["old", "new"]
