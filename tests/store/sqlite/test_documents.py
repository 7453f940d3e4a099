"""Documents in a SQLite file: older files, damaged rows, traces of what was deleted, several processes."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engram.doctor import examine, salvage
from engram.documents import Document, DocumentKey, canonical_json
from engram.engram import Engram
from engram.errors import EngramError, MemoryDamaged, MemoryFull, MemoryLocked, MemoryReadOnly
from engram.store.base import Filter
from engram.store.sqlite.store import SqliteStore
from tests.store.conformance import PLAN, one, put
from tests.store.sqlite.test_store import FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4, run_sql

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


# Older files.


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4])
def test_an_older_file_gets_documents(path: Path, script: str) -> None:
    run_sql(path, script)
    with closing(SqliteStore(path)) as store:
        assert store.documents.infos() == []
        assert put(store, '{"a":1}') == 1
        assert store.forget(Filter("a")) == 1
        assert put(store, '{"a":2}') == 1
        assert store.count(Filter()) == 2
    with closing(SqliteStore(path, read_only=True)) as store:
        document = store.documents.get(PLAN)
        assert document is not None
        assert document.value == {"a": 2}


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4])
def test_an_older_file_that_can_only_be_read_has_no_documents(path: Path, script: str) -> None:
    run_sql(path, script)
    content = path.read_bytes()
    with closing(SqliteStore(path, read_only=True)) as store:
        assert store.documents.infos() == store.documents.versions(PLAN) == store.documents.agents("ana") == []
        assert store.documents.get(PLAN) is None
        assert store.stats().documents == 0
        assert [e.text for e in store.engrams(Filter())] == ["My dog is called Biscuit.", "Noted."]
        assert [e.text for e in store.quarantined(Filter())] == (["Obey."] if script in (FORMAT_3, FORMAT_4) else [])
        for write in (lambda: put(store, "1"), lambda: store.documents.delete(PLAN)):
            with pytest.raises(MemoryReadOnly, match="open for reading only"):
                write()
    assert path.read_bytes() == content


def test_a_migration_that_fails_leaves_format_4(path: Path) -> None:
    run_sql(path, FORMAT_3 + "CREATE TABLE deleted_documents (in_the_way);")
    with pytest.raises(EngramError, match="deleted_documents"):
        SqliteStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 4
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone() is None


# The file.


def test_documents_survive_closing_and_opening(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(3):
            put(store, str(number))
        before = store.documents.versions(PLAN)
    with closing(SqliteStore(path)) as store:
        assert store.documents.versions(PLAN) == before
        assert put(store, "3", expect=3) == 4


def test_compact_removes_deleted_documents_and_versions_from_the_file(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        put(store, '"the wombat"', DocumentKey("zoo-of-ottilie", "keeper-of-ottilie", "cage-of-ottilie"))
        for value in ('"an old numbat"', '"a new quoll"'):
            put(store, value, keep=1)
        put(store, '"the bilby"', DocumentKey("a", "b", "c"))
        store.documents.delete(DocumentKey("a", "b", "c"))
        assert store.forget(Filter("zoo-of-ottilie")) == 1
        store.compact()
    content = path.read_bytes()
    for gone in (b"wombat", b"ottilie", b"numbat", b"bilby"):
        assert gone not in content
    assert b"quoll" in content


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE documents SET value = '{' WHERE version = 2",
        "UPDATE documents SET value = CAST(x'ff' AS TEXT) WHERE version = 2",
        "UPDATE documents SET at = 9223372036854775807 WHERE version = 2",
        "DROP TABLE documents",
    ],
)
def test_a_damaged_row_is_reported_as_damage(path: Path, change: str) -> None:
    with closing(SqliteStore(path)) as store:
        for number in range(2):
            put(store, str(number))
    run_sql(path, change)
    with closing(SqliteStore(path)) as store, pytest.raises(MemoryDamaged, match="engram doctor"):
        store.documents.get(PLAN)


def test_a_write_waits_for_another_process_and_then_fails(path: Path) -> None:
    with closing(SqliteStore(path, wait=0.1)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        put(store, "1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryLocked):
            put(store, "2")
        document = store.documents.get(PLAN)
        assert document is not None
        assert document.version == 1
        other.execute("ROLLBACK")
        assert put(store, "2", expect=1) == 2


def test_a_full_disk_stores_nothing_and_loses_nothing(small_disk: Path) -> None:
    with closing(SqliteStore(small_disk / "memory.db")) as store:
        put(store, '"first"')
        with pytest.raises(MemoryFull, match="disk is full"):
            for _ in range(40):
                put(store, canonical_json("x" * 1_000_000))
        versions = store.documents.versions(PLAN)
        assert versions[-1].value == "first"
        assert [d.version for d in versions] == list(range(len(versions), 0, -1))
        assert store.documents.get(PLAN) == versions[0]


def test_two_processes_that_compare_and_set_lose_no_update(path: Path) -> None:
    code = f"""
from engram.documents import DocumentKey
from engram.errors import StateConflict
from engram.store.sqlite.store import SqliteStore
from datetime import UTC, datetime
store, key, done = SqliteStore({str(path)!r}), DocumentKey("a", "planner", "plan"), 0
while done < 60:
    document = store.documents.get(key)
    value, expect = (0, 0) if document is None else (document.value, document.version)
    try:
        store.documents.put(key, str(value + 1), datetime.now(UTC), expect=expect, keep=None)
        done += 1
    except StateConflict:
        pass
"""
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0] * 3
    with closing(SqliteStore(path)) as store:
        versions = store.documents.versions(PLAN)
        assert [(d.version, d.value) for d in versions] == [(n, n) for n in range(180, 0, -1)]


def test_two_processes_without_an_expected_version_are_both_in_the_history(path: Path) -> None:
    code = """
import sys
from engram.documents import DocumentKey
from engram.store.sqlite.store import SqliteStore
from datetime import UTC, datetime
store, key = SqliteStore(sys.argv[1]), DocumentKey("a", "planner", "plan")
for number in range(40):
    store.documents.put(key, f'"{sys.argv[2]} {number}"', datetime.now(UTC), expect=None, keep=None)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "xy"]
    assert [process.wait() for process in processes] == [0, 0]
    with closing(SqliteStore(path)) as store:
        versions = store.documents.versions(PLAN)
        assert {d.value for d in versions} == {f"{name} {number}" for name in "xy" for number in range(40)}
        assert [d.version for d in versions] == list(range(80, 0, -1))
        assert store.documents.get(PLAN) == versions[0]


# Doctor.


def rich(path: Path) -> tuple[list[Engram], list[Document]]:
    """Write a file with engrams, an engram in quarantine and documents, and return what it holds."""
    rng = random.Random(3)
    with closing(SqliteStore(path)) as store:
        engrams = [one(f"number {n} " + "word " * 30, namespace=f"n{n % 3}", speaker="Ana") for n in range(400)]
        store.append([*engrams, one("held", namespace="n1", quarantined="why")])
        for number in range(300):
            key = DocumentKey(f"n{number % 3}", "plännér", f"plan {number % 7}")
            put(store, canonical_json({"n": number, "text": "x" * rng.choice((5, 300, 9_000))}), key)
        store.compact()
        documents = [d for i in store.documents.infos() for d in store.documents.versions(key_of(i))]
        assert len(documents) == 300
        return list(store.engrams(Filter())), documents


def key_of(item: object) -> DocumentKey:
    return DocumentKey(*(getattr(item, name) for name in ("namespace", "agent", "name")))


def documents_of(path: Path) -> list[Document]:
    with closing(SqliteStore(path)) as store:
        return [d for info in store.documents.infos() for d in store.documents.versions(key_of(info))]


def test_the_doctor_finds_a_healthy_file_and_saves_all_of_it(path: Path, tmp_path: Path) -> None:
    engrams, documents = rich(path)
    report = examine(path)
    assert (report.problems, report.readable, report.state_documents, report.lost_state_documents) == ((), 401, 300, 0)
    saved = salvage(path, tmp_path / "new.db")
    assert (saved.saved, saved.state_documents, saved.lost_state_documents, saved.is_complete) == (401, 300, [], True)
    assert documents_of(tmp_path / "new.db") == documents
    with closing(SqliteStore(tmp_path / "new.db")) as store:
        assert list(store.engrams(Filter())) == engrams


@pytest.mark.parametrize("seed", range(6))
def test_the_doctor_saves_every_version_that_damage_has_left(path: Path, tmp_path: Path, seed: int) -> None:
    _, documents = rich(path)
    content, rng = bytearray(path.read_bytes()), random.Random(seed)
    pages = [n for n in range(2, len(content) // PAGE) if content[n * PAGE : (n + 1) * PAGE].count(b"x") > 250]
    for page in rng.sample(pages, 3):
        content[page * PAGE : (page + 1) * PAGE] = os.urandom(PAGE)
    path.write_bytes(content)
    report = examine(path)
    saved = salvage(path, tmp_path / "new.db")
    found = documents_of(tmp_path / "new.db")
    assert len(found) == saved.state_documents == report.state_documents
    assert 0 < 300 - len(found) < 100
    assert all(document in documents for document in found)
    if saved.lost_state_documents is not None:
        assert len(saved.lost_state_documents) == report.lost_state_documents == 300 - len(found)
        assert all(lost.startswith("version ") for lost in saved.lost_state_documents)
        assert not saved.is_complete


def test_the_doctor_reads_documents_from_the_pages_when_no_tree_leads_to_them(path: Path, tmp_path: Path) -> None:
    engrams, documents = rich(path)
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'documents'").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE : root * PAGE] = bytes(PAGE)
    path.write_bytes(content)
    saved = salvage(path, tmp_path / "new.db")
    assert saved.state_documents == 300
    assert documents_of(tmp_path / "new.db") == documents
    with closing(SqliteStore(tmp_path / "new.db")) as store:
        assert list(store.engrams(Filter())) == engrams


def test_the_doctor_saves_documents_of_a_file_without_its_first_page(path: Path, tmp_path: Path) -> None:
    _, documents = rich(path)
    content = bytearray(path.read_bytes())
    content[100:PAGE] = os.urandom(PAGE - 100)
    content[100] = 0x0D
    path.write_bytes(content)
    saved = salvage(path, tmp_path / "new.db")
    assert saved.lost_state_documents is None
    assert documents_of(tmp_path / "new.db") == documents


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4])
def test_the_doctor_finds_no_documents_in_older_files(path: Path, tmp_path: Path, script: str) -> None:
    run_sql(path, script)
    report = examine(path)
    assert (report.problems, report.state_documents, report.lost_state_documents) == ((), 0, 0)
    assert salvage(path, tmp_path / "new.db").is_complete
