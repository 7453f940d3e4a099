"""The SQLite store: all suites; old, foreign and damaged files; several processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from engram.engram import ORIGINS, ROLES
from engram.errors import (
    EngramError,
    MemoryClosed,
    MemoryDamaged,
    MemoryFull,
    MemoryLocked,
    MemoryReadOnly,
    MemoryTooNew,
    NotFound,
)
from engram.store.base import CursorExpired, Filter, LoggedStore
from engram.store.sqlite.connections import Database
from engram.store.sqlite.errors import translate
from engram.store.sqlite.migrations import APPLICATION_ID, VERSION
from engram.store.sqlite.store import SqliteStore
from tests.store.conformance import DocumentSuite, Follower, LogSuite, PolicySuite, StoreSuite, one

FORMAT_1 = """
CREATE TABLE namespaces (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TABLE sessions (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, name TEXT NOT NULL,
 UNIQUE (namespace, name));
CREATE TABLE speakers (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, name TEXT NOT NULL,
 UNIQUE (namespace, name));
CREATE TABLE engrams (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, namespace INTEGER NOT NULL,
 session INTEGER NOT NULL, speaker INTEGER, role INTEGER NOT NULL, at INTEGER NOT NULL, recorded INTEGER NOT NULL,
 kind TEXT, source TEXT, metadata TEXT, text TEXT NOT NULL);
CREATE UNIQUE INDEX engrams_by_id ON engrams (id);
CREATE INDEX engrams_by_namespace ON engrams (namespace);
CREATE INDEX engrams_by_session ON engrams (session);
CREATE TABLE forgotten (seq INTEGER PRIMARY KEY);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counters VALUES ('forgets', 1), ('identity', 77);
INSERT INTO namespaces (name) VALUES ('ana');
INSERT INTO sessions (namespace, name) VALUES (1, 'monday');
INSERT INTO speakers (namespace, name) VALUES (1, 'Ana');
INSERT INTO engrams VALUES (1, x'0195539c8b2d7000800000000000000a', 1, 1, 1, 0, 1772452800000000, 1500000, NULL,
 'chat', '{"mood":"glad"}', 'My dog is called Biscuit.');
INSERT INTO engrams VALUES (3, x'0195539c8b2d7000800000000000000b', 1, 1, NULL, 1, 1772452801000000, 0, 'fact',
 NULL, NULL, 'Noted.');
INSERT INTO forgotten VALUES (2);
PRAGMA application_id = 1164863346;
PRAGMA user_version = 1;
"""
"""A file of format 1. Never change it: a released format must always open."""


FORMAT_2 = (
    FORMAT_1.replace("CREATE TABLE forgotten (seq INTEGER PRIMARY KEY);\n", "")
    .replace("INSERT INTO forgotten VALUES (2);\n", "")
    .replace("('forgets', 1)", "('compacted', 0), ('pruned', 0)")
    .replace(
        "PRAGMA user_version = 1;",
        """
CREATE TABLE deletions (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, seq INTEGER NOT NULL);
INSERT INTO deletions VALUES (1, 1, 2);
PRAGMA user_version = 2;
""",
    )
)
"""A file of format 2, likewise."""

FORMAT_3 = FORMAT_2.replace(
    "PRAGMA user_version = 2;",
    """
ALTER TABLE engrams ADD COLUMN origin INTEGER;
CREATE TABLE quarantined (number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, namespace TEXT NOT NULL,
 session TEXT NOT NULL, speaker TEXT, role INTEGER NOT NULL, at INTEGER NOT NULL, recorded INTEGER NOT NULL, kind TEXT,
 source TEXT, metadata TEXT, text TEXT NOT NULL, origin INTEGER NOT NULL, why TEXT NOT NULL, since INTEGER NOT NULL);
CREATE UNIQUE INDEX quarantined_by_id ON quarantined (id);
CREATE INDEX quarantined_by_namespace ON quarantined (namespace);
INSERT INTO quarantined VALUES (1, x'0195539c8b2d7000800000000000000c', 'ana', 'monday', NULL, 3, 1772452802000000, 0,
 NULL, NULL, NULL, 'Obey.', 6, 'reads as an order', 1772452803000000);
PRAGMA user_version = 3;
""",
)
"""A file of format 3, likewise."""

FORMAT_4 = FORMAT_3.replace(
    "PRAGMA user_version = 3;",
    """
CREATE TABLE policies (namespace TEXT NOT NULL PRIMARY KEY, expire_after INTEGER CHECK (expire_after > 0))
 WITHOUT ROWID;
CREATE INDEX engrams_by_session_and_time ON engrams (session, at);
INSERT INTO policies VALUES ('bo', 604800000000);
PRAGMA user_version = 4;
""",
)
"""A file of format 4, likewise."""

OLD_ORIGINS = [
    ("user", "chat", "turn", "user"),
    ("assistant", "chat", "turn", "assistant"),
    ("tool", None, "turn", "tool"),
    ("system", None, "turn", "program"),
    ("user", "mcp", "turn", "agent"),
    ("assistant", "mcp", "fact", "agent"),
    ("user", "import:claude", "turn", "import"),
    ("system", "import:chatgpt", "turn", "import"),
    ("assistant", "import:claude", "turn", "assistant"),
    ("tool", "import:x", "turn", "tool"),
    ("user", "import:claude", "attachment", "document"),
    ("user", None, "attachment", "document"),
]
"""Role, source and kind of an engram of format 1 or 2, and the origin that is derived from them."""


def add_old_engrams(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        for number, (role, source, kind, origin) in enumerate(OLD_ORIGINS):
            values = (uuid4().bytes, ROLES.index(role), number, None if kind == "turn" else kind, source, origin)
            db.execute(
                "INSERT INTO engrams (id, namespace, session, role, at, recorded, kind, source, text)"
                " VALUES (?, 1, 1, ?, ?, 0, ?, ?, ?)",
                values,
            )
        db.commit()


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2])
@pytest.mark.parametrize("read_only", [True, False])
def test_origins_of_older_files_are_derived(path: Path, script: str, read_only: bool) -> None:
    run_sql(path, script)
    add_old_engrams(path)
    content = path.read_bytes()
    with closing(SqliteStore(path, read_only=read_only)) as store:
        engrams = list(store.engrams(Filter()))[2:]
        assert [e.origin for e in engrams] == [e.text for e in engrams] == [row[-1] for row in OLD_ORIGINS]
        assert [store.get(e.id) for e in engrams] == engrams
        records = store.changes("", 99).appended[2:]
        assert [ORIGINS[record.origin] for record in records] == [e.origin for e in engrams]
        for least in ORIGINS:
            where = Filter("ana", trust=least)
            assert [e.id for e in store.engrams(where)] == [e.id for e in store.engrams(Filter()) if where.admits(e)]
        assert list(store.quarantined(Filter())) == []
        assert store.stats().quarantined == 0
    assert not read_only or path.read_bytes() == content


@pytest.mark.parametrize("script", [FORMAT_1, FORMAT_2])
def test_older_file_gets_a_quarantine(path: Path, script: str) -> None:
    run_sql(path, script)
    with closing(SqliteStore(path)) as store:
        first = next(store.engrams(Filter()))
        assert store.quarantine(first.id, "a doubt")
        assert store.append([one("held", quarantined="why")]) == [True]
    with closing(SqliteStore(path, read_only=True)) as store:
        assert [e.text for e in store.quarantined(Filter())] == [first.text, "held"]
        assert store.count(Filter()) == 1


def test_compact_removes_what_was_forgotten_from_the_quarantine(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        store.append([one("a unique wombat", namespace="gone", quarantined="why")])
        assert store.forget(Filter("gone")) == 1
        store.compact()
        content = path.read_bytes()
        assert b"wombat" not in content
        assert b"gone" not in content


class TestInAFile(StoreSuite, PolicySuite, DocumentSuite, LogSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[LoggedStore]:
        with closing(SqliteStore(tmp_path / "memory.db")) as store:
            yield store


class TestInRam(StoreSuite, PolicySuite, DocumentSuite, LogSuite):
    @pytest.fixture
    def store(self) -> Iterator[LoggedStore]:
        with closing(SqliteStore(":memory:")) as store:
            yield store


def put_nul_for_spaces(path: Path) -> None:
    """Write NUL characters into a memory, as versions before 2 of the format could hold them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for table, column in (
            ("engrams", "text"),
            ("engrams", "source"),
            ("namespaces", "name"),
            ("sessions", "name"),
            ("speakers", "name"),
        ):
            rows = db.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
            for rowid, value in rows:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value.replace(" ", "\0"), rowid))
        db.execute("UPDATE engrams SET metadata = replace(metadata, ' ', '\\u0000') WHERE metadata IS NOT NULL")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def run_sql(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script)


def check_format_1(store: SqliteStore) -> None:
    first, second = store.engrams(Filter())
    assert (first.text, first.speaker, first.session, first.metadata) == (
        "My dog is called Biscuit.",
        "Ana",
        "monday",
        {"mood": "glad"},
    )
    assert first.id == str(UUID("0195539c-8b2d-7000-8000-00000000000a"))
    assert (first.recorded_at - first.at).total_seconds() == 1.5
    assert (second.role, second.kind) == ("assistant", "fact")
    changes = store.changes("", 10)
    assert [record.seq for record in changes.appended] == [1, 3]
    assert (changes.deleted, changes.cursor) == ([], store.head())
    assert store.identity == f"{77:016x}"


def test_file_of_format_1_is_migrated(path: Path) -> None:
    run_sql(path, FORMAT_1)
    for _ in range(2):
        with closing(SqliteStore(path)) as store:
            check_format_1(store)
    with closing(SqliteStore(path)) as store:
        assert store.append([one(namespace="ana")]) == [True]
        assert store.keys([e.id for e in store.engrams(Filter())]).keys() == {e.id for e in store.engrams(Filter())}
        assert [record.seq for record in store.changes("", 10).appended] == [1, 3, 4]
        reader = Follower(store)
        reader.read()
        assert store.forget(Filter(session="monday")) == 2
        reader.read()
        assert len(reader.present) == 1
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "forgotten" not in tables
        assert dict(db.execute("SELECT * FROM counters")) == {"identity": 77, "compacted": 0, "pruned": 0}


def test_file_of_format_1_can_be_read_unmigrated(path: Path) -> None:
    run_sql(path, FORMAT_1)
    content = path.read_bytes()
    with closing(SqliteStore(path, read_only=True)) as store:
        check_format_1(store)
        # Each thread has another connection.
        threads = [threading.Thread(target=check_format_1, args=(store,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pytest.raises(MemoryReadOnly):
            store.append([one()])
    assert path.read_bytes() == content


def test_migration_that_fails_changes_nothing(path: Path) -> None:
    run_sql(path, FORMAT_1 + "CREATE TABLE deletions (in_the_way);")
    with pytest.raises(EngramError, match="deletions"):
        SqliteStore(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1
        assert db.execute("SELECT seq FROM forgotten").fetchall() == [(2,)]
        assert db.execute("SELECT value FROM counters WHERE name = 'forgets'").fetchone() == (1,)
    run_sql(path, "DROP TABLE deletions")
    with closing(SqliteStore(path)) as store:
        check_format_1(store)


def test_cursor_that_missed_two_compacts_has_expired(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        engrams = [one(str(i)) for i in range(4)]
        store.append(engrams)
        cursor = store.head()
        store.forget(Filter(), engrams[0].id)
        store.compact()
        assert len(store.changes(cursor, 9).deleted) == 1
        store.compact()
        for call in (lambda: store.changes(cursor, 9), lambda: store.skip(cursor, 9)):
            with pytest.raises(CursorExpired, match="pruned"):
                call()
        assert len(store.changes("", 9).appended) == 3


def test_engram_with_nul_from_an_old_version_can_be_read(path: Path) -> None:
    engram = one("before after", namespace="n m", session="s t", speaker="A B", source="x y", metadata={"k v": "v w"})
    with closing(SqliteStore(path)) as store:
        store.append([engram])
    put_nul_for_spaces(path)
    with closing(SqliteStore(path)) as store:
        (restored,) = store.engrams(Filter("n\0m", "s\0t"))
        assert (restored.text, restored.namespace, restored.session) == ("before\0after", "n\0m", "s\0t")
        assert (restored.speaker, restored.source, restored.metadata) == ("A\0B", "x\0y", {"k\0v": "v\0w"})
        assert store.get(engram.id) == restored
        (record,) = store.changes("", 9).appended
        assert record.text == restored.text
        assert store.speakers(record.namespace) == {"A\0B": record.speaker}
        assert store.forget(Filter("n\0m")) == 1


def test_new_file_has_the_current_format(path: Path) -> None:
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_newer_file_is_refused_unchanged(path: Path) -> None:
    SqliteStore(path).close()
    run_sql(path, f"PRAGMA user_version = {VERSION + 1}")
    content = path.read_bytes()
    with pytest.raises(MemoryTooNew, match=rf"memory\.db has format {VERSION + 1}.*upgrade"):
        SqliteStore(path)
    assert path.read_bytes() == content


def test_empty_file_becomes_a_memory(path: Path) -> None:
    path.touch()
    with closing(SqliteStore(path)) as store:
        assert store.append([one()]) == [True]


def test_missing_folder_is_made(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "a" / "b" / "memory.db")) as store:
        assert store.append([one()]) == [True]


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "#1", "ünï", "a&mode=ro"])
def test_file_name_with_special_characters_works(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        with closing(SqliteStore(tmp_path / name)) as store:
            store.append([one()])
    assert (tmp_path / name).exists()


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MemoryReadOnly, match="is a folder"):
        SqliteStore(tmp_path)


def test_file_instead_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MemoryReadOnly, match=r"cannot open .*memory\.db"):
        SqliteStore(tmp_path / "file" / "memory.db")


def test_file_that_is_no_database_is_refused_unchanged(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(MemoryDamaged, match=r"memory\.db is no Engram memory.*engram doctor"):
        SqliteStore(path)
    assert path.read_text() == "Dear diary, " * 1000


def test_database_of_another_application_is_refused_unchanged(path: Path) -> None:
    run_sql(path, "CREATE TABLE notes (text)")
    content = path.read_bytes()
    with pytest.raises(MemoryDamaged, match="not an Engram memory; give another path"):
        SqliteStore(path)
    assert path.read_bytes() == content


def filled(path: Path, count: int = 2000) -> None:
    with closing(SqliteStore(path)) as store:
        store.append([one(f"number {i} " + "word " * 20) for i in range(count)])


@pytest.mark.parametrize("stride", [100, 1])
def test_error_about_damaged_pages_names_the_doctor(path: Path, stride: int) -> None:
    filled(path)
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        if page % stride == 1 or stride == 1:
            content[page * 4096 : (page + 1) * 4096] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(MemoryDamaged, match=r"memory\.db is damaged.*engram doctor --memory"):
        with closing(SqliteStore(path)) as store:
            list(store.engrams(Filter()))
            store.append([one()])
            store.get(one().id)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE engrams SET id = x'00' WHERE seq = 3",
        "UPDATE engrams SET role = 9 WHERE seq = 3",
        "UPDATE engrams SET metadata = '{' WHERE seq = 3",
        "UPDATE engrams SET at = 9223372036854775807 WHERE seq = 3",
        "UPDATE engrams SET text = CAST(x'ff' AS TEXT) WHERE seq = 3",
        "DROP TABLE speakers",
    ],
)
def test_invalid_values_are_reported_as_damage(path: Path, change: str) -> None:
    filled(path, 5)
    run_sql(path, change)
    with closing(SqliteStore(path)) as store, pytest.raises(MemoryDamaged, match="engram doctor"):
        list(store.engrams(Filter()))


def test_read_only_store_sees_writes_of_others_and_refuses_to_write(path: Path) -> None:
    with closing(SqliteStore(path)) as writer:
        writer.append([one("early")])
        with closing(SqliteStore(path, read_only=True)) as store:
            writer.append([one("late")])
            assert [e.text for e in store.engrams(Filter())] == ["early", "late"]
            for write in (lambda: store.append([one()]), lambda: store.forget(Filter()), store.compact):
                with pytest.raises(MemoryReadOnly, match="open for reading only"):
                    write()


def test_read_only_store_needs_a_file(path: Path) -> None:
    with pytest.raises(NotFound, match="there is no memory at"):
        SqliteStore(path, read_only=True)
    assert not path.exists()


def test_read_only_store_does_not_create_tables(path: Path) -> None:
    path.touch()
    with pytest.raises(MemoryReadOnly, match="must be migrated"):
        SqliteStore(path, read_only=True)


def test_write_waits_for_another_process_and_then_fails(path: Path) -> None:
    with closing(SqliteStore(path, wait=0.1)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryLocked, match=r"memory\.db: another process held the memory for over 0\.1 s"):
            store.append([one()])
        other.execute("COMMIT")
        assert store.append([one()]) == [True]


def test_compact_waits_for_readers_and_then_fails(path: Path) -> None:
    filled(path, 10)
    with closing(SqliteStore(path, wait=0.1)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM engrams").fetchone()
        store.forget(Filter())
        with pytest.raises(MemoryLocked, match="compact again"):
            store.compact()
        other.execute("COMMIT")
        store.compact()


def test_reading_threads_survive_a_close(path: Path) -> None:
    filled(path)
    store = SqliteStore(path)
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                assert len(list(store.engrams(Filter()))) == 2000
        except MemoryClosed:
            pass
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    threading.Event().wait(0.3)
    store.close()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_read_that_begins_while_another_thread_closes_says_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    store, check = SqliteStore(path), Database.check_place

    def check_after_close(database: Database) -> None:
        monkeypatch.undo()

        def close_and_keep_the_lock() -> None:
            store.close()
            database._lock.acquire()

        closer = threading.Thread(target=close_and_keep_the_lock)
        closer.start()
        closer.join()
        check(database)

    monkeypatch.setattr(Database, "check_place", check_after_close)
    with pytest.raises(MemoryClosed):
        list(store.engrams(Filter()))


def test_ended_threads_leave_no_connections(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            thread = threading.Thread(target=store.head)
            thread.start()
            thread.join()
        assert len(os.listdir("/proc/self/fd")) < before + 10


def test_forked_child_must_open_the_memory_itself(path: Path) -> None:
    code = f"""
import os, sys
from engram.errors import MemoryClosed
from engram.store.sqlite.store import SqliteStore
store = SqliteStore({str(path)!r})
if os.fork() == 0:
    try:
        store.head()
    except MemoryClosed as error:
        os._exit(7 if "fork" in str(error) else 1)
    os._exit(2)
_, status = os.wait()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 7


def test_child_forked_during_a_write_does_not_hang(path: Path) -> None:
    code = f"""
import os, signal, sqlite3, sys, threading, time
from engram.engram import draft
from engram.errors import MemoryClosed
from engram.store.sqlite.store import SqliteStore
store = SqliteStore({str(path)!r})
other = sqlite3.connect({str(path)!r}, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
thread = threading.Thread(target=store.append, args=([draft("x")],))
thread.start()
time.sleep(0.3)
if os.fork() == 0:
    signal.alarm(5)
    try:
        store.append([draft("y")])
    except MemoryClosed as error:
        os._exit(7 if "fork" in str(error) else 1)
    os._exit(2)
_, status = os.wait()
other.execute("COMMIT")
thread.join()
sys.exit(os.waitstatus_to_exitcode(status))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 7


def test_many_processes_can_create_one_file_at_once(path: Path) -> None:
    code = f"""
from engram.engram import draft
from engram.store.sqlite.store import SqliteStore
store = SqliteStore({str(path)!r})
store.append([draft("x")])
store.close()
"""
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait() for process in processes] == [0] * 6
    with closing(SqliteStore(path)) as store:
        assert store.count(Filter()) == 6


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, MemoryFull),
        (sqlite3.SQLITE_IOERR_WRITE, MemoryFull),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, MemoryLocked),
        (sqlite3.SQLITE_READONLY_DIRECTORY, MemoryReadOnly),
        (sqlite3.SQLITE_CANTOPEN, MemoryReadOnly),
        (sqlite3.SQLITE_CORRUPT_VTAB, MemoryDamaged),
        (sqlite3.SQLITE_NOTADB, MemoryDamaged),
        (sqlite3.SQLITE_IOERR_READ, MemoryDamaged),
        (sqlite3.SQLITE_MISUSE, EngramError),
    ],
)
def test_every_error_names_the_file(path: Path, code: int, kind: type[EngramError]) -> None:
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorcode = code
    translated = translate(error, str(path), "write", 1.0)
    assert type(translated) is kind
    assert str(path) in str(translated)
